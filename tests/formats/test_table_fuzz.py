"""Tables gone wrong anywhere: a result that can be written, or one line that names the file."""

import csv
import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posegan_jax import formats
from posegan_jax.errors import InputError
from posegan_jax.formats import textfile
from posegan_jax.pose.exchange import find_exchanges
from posegan_jax.pose.sequence import PoseSequence, densify

VALID = {
    "deeplabcut": """\
scorer,s,s,s,s,s,s
bodyparts,LHip,LHip,LHip,right hip,right hip,right hip
coords,x,y,likelihood,x,y,likelihood
0,1.50,2,0.9,3,4.25,0.95
1,,,,3.5,4.0,0.10
2,5,6,0.99,,,
""",
    "deeplabcut individuals": """\
scorer,s,s,s,s,s
individuals,ann,ann,ann,3,3
bodyparts,knee,knee,knee,nose,nose
coords,x,y,likelihood,x,y
img1.png,1,2,0.9,,
img2.png,1,2,0.9,5,6
""",
    "sleap": """\
track,frame_idx,instance.score,LHip.x,LHip.y,LHip.score,b.x,b.y
a,0,0.93,101.50,55.25,0.97,140,60
,0,1.5,1,2,0.9,3,4
,0,1.5,601,2,0.9,603,4
a,3,,102,56,,,
""",
    "csv": """\
frame,person,joint,x,y,score,provenance,fps
0,1,LKnee,1.5,2,1.0,filled,25.0
0,1,r knee,3,4,0.5,observed,25.0
2,b,LKnee,7,8,,,
""",
    "csv others": """\
Frame,LandmarkName,X,Y,Z,Visibility
0,LEFT_KNEE,101.5,2,1.0,0.7
0,nose,103,4,0.5,0.5
2,LEFT_KNEE,107,8,,
""",
    "wide": """\
frame_index,track_id,t,NOSE_x,NOSE_y,NOSE_visibility,LEFT_KNEE_x,LEFT_KNEE_y,neck_x,neck_y
0,,.5,101.50,55.25,0.97,140,60,5,5
0,,.6,601,2,0.9,603,4,600,9
3,b,.7,102,56,,,,,
""",
    "wide in space": """\
frame,nose_x,nose_y,nose_z,nose_prob,left_hip_x,left_hip_y,left_hip_z,left_hip_prob,\
left_knee_x,left_knee_y,left_knee_z,left_knee_prob
0,.5,3,1.6,.9,.6,3,.9,.9,.6,3,.5,.9
1,.6,3,1.6,.9,.7,3,.9,.1,.7,3,.5,.8
2,0,0,0,0,.8,3,.9,.9,.7,3.3,.63,.9
""",
    "wide y up": """\
frame,nose_x,nose_y,nose_acc,left_hip_x,left_hip_y,left_hip_acc,left_knee_x,left_knee_y,left_knee_acc
0,50,160,.9,60,90,.9,60,50,.9
1,51,161,.9,,,.9,61,52,.9
2,0,0,0,63,90,.9,62,53,.9
""",
    "csv in space": """\
Frame,LandmarkName,x,y,z,certainty
0,LEFT_KNEE,101.5,2,1.0,0.7
0,nose,103,4,90.5,0.5
1,LEFT_KNEE,107,8,2,.9
1,nose,103,4,91.5,0.5
""",
    "wide numbers": ",".join(f"{a}{k}" for k in range(1, 18) for a in "xyz") + """
""" + ",".join(f"0.{k + 10}" for k in range(51)) + """
""" + ",".join(f"0.{k + 20}" for k in range(51)) + """
""",
    "csv tidy": """\
frame,time,model,keypoint,x,y,z,score,provenance
0,0.0,rtm,body_LHip,101.50,2,1.0,0.7,
0,0.0,rtm,body_nose,103,4,0.5,0.5,filled
0,0.0,rtm,body_RHip,103,4,0.5,,
2,0.2,rtm,body_LHip,107,8,,,
2,0.2,rtm,COM,107,8,,,
""",
    "csv numbers": "Frame;Landmark_ID;Landmark_X;Landmark_Y\n" + "".join(
        f"{t};{k};{k + 10}.5;{k + 20 + t}\n" for t in (0, 3) for k in (0, 11, 12, 13, 14, 32)
    ),
    "wide semicolons": """\
frame;body_NOSE_x;body_NOSE_y;body_NOSE_score;body_LHip_x;body_LHip_y;body_RHip_x;body_RHip_y;note
0;101,50;55,25;0,97;140;60;5;5;a,b
2;601;2;0,9;603,5;4;600;9;
""",
    "wide tabs": ("frame\tCOM_x\tCOM_y\t" + "\t".join(
        f"{a}_{k}" for k in (0, 2, 5, 11, 12, 13, 32) for a in "xy"
    ) + """
0""" + "".join(f"\t{k + 10}.5" for k in range(16)) + """
2""" + "".join(f"\t{k + 20}" for k in range(16)) + """
"""),
    "wide spaces": """\
frame nose_x nose_y nose_score left_hip_x left_hip_y knee_l_x knee_l_y
0 101.5 2 0.75 103 4 nan nan
1 102.5 2 0.75 104 4 5 6
3 103.5 2 0.75 105 4 7 8
""",
    "wide comments": """\
# made by a program, once
# frame,nose_x,nose_y,nose_score,left_hip_x,left_hip_y,right_hip_x,right_hip_y
0,101.5,2,0.75,103,4,,
# a cut
3,102.5,2,0.75,104,4,5,6
# the end
""",
    "trc": """\
PathFileType\t4\t(X/Y/Z)\twalk.trc
DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits
50\t50\t3\t2\tmm
Frame#\tTime\tNose\t\t\tLAnkle\t\t
\t\tX1\tY1\tZ1\tX2\tY2\tZ2

1\t0.02\t10.50\t1700\t5\t20\t100\t6
2\t0.04\t11\t1701\t5\t\t\t
4\t0.08\t12\t1702\t5\t22\t102\t6
""",
}
NASTY = [
    "", "0", "-1", "nan", "inf", "-inf", "1e308", "1e-320", "-1e7", "9" * 400, "x", "1,5", '"', "é",
    "\ufeff", "\x00", "\r", "\n", '"a\nb"', "0x1f", "1_0", "True", "=1+1", "left_", "x" * 300,
    "4503599627370495",
]

few = settings(
    max_examples=100, deadline=None, database=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
every_format = pytest.mark.parametrize("name", VALID)


def separator(name):
    others = {"trc": "\t", "wide tabs": "\t", "wide semicolons": ";", "csv numbers": ";",
              "wide spaces": " "}
    return others.get(name, ",")


@st.composite
def spoilt(draw, text, comma):
    """The text with a few cells, lines or stretches replaced, removed, doubled or swapped."""
    lines = [line.split(comma) for line in text.split("\n")]
    for _ in range(draw(st.integers(1, 3))):
        i = draw(st.integers(0, len(lines) - 1))
        j = draw(st.integers(0, len(lines[i]) - 1))
        what = draw(st.sampled_from(["cell"] * 4 + ["swap", "double", "drop", "insert", "column"]))
        if what == "cell":
            lines[i][j] = draw(st.sampled_from(NASTY))
        elif what == "swap":
            k = draw(st.integers(0, len(lines) - 1))
            lines[i], lines[k] = lines[k], lines[i]
        elif what == "double":
            lines.insert(i, list(lines[i]))
        elif what == "drop":
            lines[i : i + draw(st.integers(1, 3))] = [[""]]
        elif what == "insert":
            lines[i].insert(j, draw(st.sampled_from(NASTY)))
        else:
            lines = [line[:j] + line[j + 1 :] or [""] for line in lines]
    text = "\n".join(comma.join(line) for line in lines)
    return text[: draw(st.integers(0, len(text)))] if draw(st.integers(0, 4)) == 0 else text


def attempt(path, action):
    """A result, None where it is refused in one line that names the file."""
    try:
        return action(path)
    except InputError as error:
        assert "\n" not in str(error) and str(error).startswith(f"{path}: ")
        return None


def cells(path):
    """The rows that are not blank, as a reader of such tables sees them."""
    text = path.read_bytes().decode("utf-8-sig")
    if text.startswith("PathFileType"):
        rows = [line.removesuffix("\r").split("\t") for line in text.split("\n")]
        return [row for row in rows if any(cell.strip() for cell in row)]
    if textfile.separator_of(text.partition("\n")[0]) == " ":
        rows = [[cell for cell in line.split(" ") if cell] for line in text.splitlines()]
        return [row for row in rows if row]
    comma = textfile.separator_of(text.partition("\n")[0])
    return [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=comma) if row]


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        assert (a.person, a.skeleton, a.fps) == (b.person, b.skeleton, b.fps)
        for name in ("keypoints", "scores", "frames", "provenance"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def check(path, out):
    """What is read is written back the same, and can be completed and upsampled."""
    file = attempt(path, formats.read)
    if file is None:
        return
    assert all("\n" not in note for note in file.notes)
    formats.write(file, out)
    if file.source is not None:
        assert cells(out) == cells(path)
    assert_same(file, formats.read(out))
    whole = []
    for sequence in map(densify, file):
        keypoints = np.where(sequence.observed[..., None], sequence.keypoints, 7.5)
        scores = np.where(sequence.observed, sequence.scores, 0.75)
        whole.append(sequence.replace(keypoints=keypoints, scores=scores, provenance=None))
    attempt(out, lambda out: formats.write(file.replace(whole), out))
    formats.read(out)
    more = [
        PoseSequence(np.full((len(s), 28, 2), 9.5), None, s.fps, "mpi_inf_3dhp", s.frames, s.person)
        for s in file
    ]
    if attempt(out, lambda out: formats.write(file.replace(more), out) or True):
        assert {s.skeleton for s in formats.read(out)} == {"mpi_inf_3dhp"}
    followed = formats.read(path, ignore_ids=True)
    right = formats.relabelled(file, find_exchanges(file)[0])
    assert seen(followed) == seen(file) == seen(right)
    if attempt(out, lambda out: formats.write(followed, out) or True):
        formats.read(out)


def seen(file):
    """How many frames there are of anybody."""
    return sum(int(sequence.observed.any(-1).sum()) for sequence in file)


@every_format
def test_the_valid_files_are_valid(name, tmp_path):
    path = tmp_path / "in.txt"
    path.write_text(VALID[name])
    assert formats.read(path).format == name.split()[0]
    check(path, tmp_path / "out.txt")


@every_format
@few
@given(data=st.data())
def test_spoilt_cells_and_lines(name, data, tmp_path):
    path = tmp_path / "in.txt"
    text = data.draw(spoilt(VALID[name], separator(name)))
    path.write_bytes(text.encode())
    check(path, tmp_path / "out.txt")


@every_format
@few
@given(data=st.data())
def test_spoilt_bytes(name, data, tmp_path):
    path = tmp_path / "in.txt"
    content = bytearray(VALID[name].encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        stop = at + data.draw(st.integers(0, 3))
        content[at:stop] = data.draw(st.binary(max_size=3))
    path.write_bytes(content)
    check(path, tmp_path / "out.txt")


@every_format
def test_cut_off_anywhere(name, tmp_path):
    content = VALID[name].encode()
    for length in range(len(content)):
        (tmp_path / "in.txt").write_bytes(content[:length])
        check(tmp_path / "in.txt", tmp_path / "out.txt")
