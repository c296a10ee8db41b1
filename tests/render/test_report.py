"""The page of a report: the data in it, that nothing escapes, and in a browser that it works."""

import base64
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from posegan_jax.errors import InputError
from posegan_jax.pose.sequence import PoseSequence, Provenance
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.render.report import PRECISION, write_report

COCO, MPI = get_skeleton("coco17"), get_skeleton("mpi_inf_3dhp")


def track(frames=range(4, 12), skeleton="coco17", seed=0, **attributes):
    """A track of random joints in a 1920 x 1080 picture; a tenth of them is missing."""
    rng, shape = np.random.default_rng(seed), (len(frames), len(get_skeleton(skeleton)))
    keypoints = rng.uniform(0, 1, (*shape, 2)) * (1920, 1080)
    keypoints[rng.random(shape) < 0.1] = np.nan
    defaults = {
        "scores": rng.uniform(0.05, 1, shape), "fps": 25.0, "person": 1,
        "provenance": rng.integers(0, 4, shape),
    }
    return PoseSequence(keypoints, skeleton=skeleton, frames=frames, **(defaults | attributes))


def written(tmp_path, *panels, labels=None, title="a title", **options):
    """Path, text and data of a page."""
    path = tmp_path / "report.html"
    labels = labels or [f"panel {i}" for i in range(len(panels))]
    write_report(panels, path, labels, title, **options)
    text = path.read_text(encoding="utf-8")
    (data,) = re.findall(r'<script id="data" type="application/json">(.*?)</script>', text, re.S)
    return path, text, json.loads(data)


def decoded(data, skeleton, fps=None):
    """A sequence out of a track of the data, as the page reads it."""
    shape = (-1, len(get_skeleton(skeleton)))
    raw = {name: base64.b64decode(data[name]) for name in ("points", "scores", "sources")}
    kind = np.dtype("<i4" if data["wide"] else "<i2")
    steps = np.frombuffer(raw["points"], kind).reshape(*shape, 2)
    points = steps / PRECISION + data["origin"]
    return PoseSequence(
        np.where(steps == np.iinfo(kind).min, np.nan, points),
        np.frombuffer(raw["scores"], np.uint8).reshape(shape) / 255 * data["top"],
        fps, skeleton, np.concatenate([[], *(a + np.arange(n) for a, n in data["runs"])]),
        provenance=np.frombuffer(raw["sources"], np.uint8).reshape(shape),
    )


def assert_same(told, sequence):
    """Equal up to the precision of the page."""
    assert told["skeleton"] == sequence.skeleton
    again = decoded(told, sequence.skeleton)
    np.testing.assert_allclose(again.keypoints, sequence.keypoints, rtol=0, atol=0.0501)
    assert np.abs(again.scores - sequence.scores).max(initial=0) <= told["top"] / 500
    np.testing.assert_array_equal(again.provenance, sequence.provenance)
    np.testing.assert_array_equal(again.frames, sequence.frames)
    for kind in Provenance:
        counts = (sequence.provenance == kind).sum(axis=0).tolist()
        assert [joint[kind] for joint in told["coverage"]] == counts


# --- the data -------------------------------------------------------------------------------------


def test_the_data_are_the_sequences(tmp_path):
    before = track([0, 1, 5, 6, 7, 90], scores=np.linspace(0, 3.2, 6 * 17).reshape(6, 17))
    after = track(range(0, 91), "mpi_inf_3dhp")
    _, _, data = written(tmp_path, [before], [after], labels=["input", "completed"])
    (person,) = data["people"]
    for told, sequence in zip(person["tracks"], (before, after), strict=True):
        assert_same(told, sequence)
    assert person["tracks"][0]["runs"] == [[0, 2], [5, 3], [90, 1]]
    assert data["labels"] == ["input", "completed"] and data["fps"] == 25 and not data["notes"]
    assert {n: s["joints"] for n, s in data["skeletons"].items()} == {
        "coco17": list(COCO.joints), "mpi_inf_3dhp": list(MPI.joints)
    }
    x, y = np.concatenate([before.keypoints, after.keypoints[:6, :17]]).reshape(-1, 2).T
    assert person["box"][0] <= np.nanmin(x) and person["box"][3] >= np.nanmax(y)


def test_bones_have_the_side_of_their_child(tmp_path):
    _, _, data = written(tmp_path, [track()])
    bones = {(a, b): side for a, b, side in data["skeletons"]["coco17"]["bones"]}
    elbow, wrist = COCO.index("left_elbow"), COCO.index("left_wrist")
    assert bones[elbow, wrist] == wrist
    assert bones[COCO.index("left_shoulder"), COCO.index("right_shoulder")] == -1


@pytest.mark.parametrize(
    "sequence",
    [
        PoseSequence(np.zeros((0, 17, 2))), PoseSequence(np.full((3, 17, 2), np.nan)),
        PoseSequence(np.full((1, 17, 2), 7.0)), track([41]),
    ],
    ids=["no frame", "nothing seen", "one place", "one frame"],
)
def test_tracks_with_little_in_them(tmp_path, sequence):
    _, _, data = written(tmp_path, [sequence])
    assert_same(data["people"][0]["tracks"][0], sequence)


def test_strays_take_four_bytes_and_the_rest_stays_precise(tmp_path):
    keypoints = track().keypoints.copy()
    keypoints[2, 3] = 1e6, -1e6
    near = track().replace(keypoints=keypoints)
    _, _, data = written(tmp_path, [near])
    assert data["people"][0]["tracks"][0]["wide"]
    assert_same(data["people"][0]["tracks"][0], near)
    assert data["people"][0]["box"][2] < 2000
    keypoints[2, 3] = 1e300, -1e300
    _, _, data = written(tmp_path, [near.replace(keypoints=keypoints)])
    far = decoded(data["people"][0]["tracks"][0], "coco17").keypoints
    np.testing.assert_allclose(far[2, 3], (1e8, -1e8))


def test_a_page_stays_small(tmp_path):
    path, _, _ = written(tmp_path, [])
    empty = path.stat().st_size
    assert empty < 40_000
    path, _, _ = written(tmp_path, [track(range(3000))])
    # Four bytes of coordinates, one of score and one of source, in base64.
    assert path.stat().st_size - empty < 3000 * 17 * 6 * 4 / 3 + 3000


# --- who is who, and where joints come from -------------------------------------------------------


def test_people_are_matched_by_id_else_by_order(tmp_path):
    def names(*panels):
        _, _, data = written(tmp_path, *panels)
        return [(p["name"], [t is not None for t in p["tracks"]]) for p in data["people"]]

    a, b, c = (track(person=person) for person in ("a", "b", "c"))
    assert names([a, b], [c, b]) == [
        ("person a", [True, False]), ("person b", [True, True]), ("person c", [False, True])
    ]
    nobody = track(person=None)
    assert names([a, nobody], [b]) == [("person b", [True, True]), ("person 2", [True, False])]
    assert names([a, a]) == [("person a", [True]), ("person a", [True])]
    assert names([], []) == []


def test_a_file_that_tells_no_sources_is_compared(tmp_path):
    before = track(range(3), provenance=None)
    keypoints = np.full((4, 28, 2), 500.0)
    source, destination, _ = COCO.map_to(MPI)
    keypoints[:3, destination] = np.nan_to_num(before.keypoints[:, source], nan=500.0)
    keypoints[0, MPI.index("left_knee")] = np.nan
    keypoints[1, MPI.index("left_hip")] += 0.3
    after = PoseSequence(keypoints, skeleton="mpi_inf_3dhp", person=1)
    _, _, data = written(tmp_path, [before], [after], labels=["in.json", "out.json"])
    assert re.search("out.json does not tell.*comparison with in.json", *data["notes"])
    found = decoded(data["people"][0]["tracks"][1], "mpi_inf_3dhp").provenance
    seen = np.zeros((4, 28), bool)
    seen[:3, destination] = before.observed[:, source]
    expected = np.where(seen, Provenance.OBSERVED, Provenance.FILLED)
    expected[0, MPI.index("left_knee")] = Provenance.UNKNOWN
    if seen[1, MPI.index("left_hip")]:
        expected[1, MPI.index("left_hip")] = Provenance.REFINED
    assert Provenance.REFINED in expected
    np.testing.assert_array_equal(found, expected)


def moved_pair():
    """A person, and the same with the left knee elsewhere in two frames."""
    body = np.random.default_rng(3).uniform([-30, -100], [30, 100], (17, 2)) + 500
    before = PoseSequence(np.tile(body, (10, 1, 1)), frames=range(20, 30), person="p")
    keypoints = before.keypoints.copy()
    keypoints[[3, 7], COCO.index("left_knee")] += [[90, 0], [0, 45]]
    return before, before.replace(
        keypoints=keypoints, provenance=np.full((10, 17), Provenance.REFINED)
    )


def test_confident_joints_that_were_moved_are_told_by_frame(tmp_path):
    before, after = moved_pair()
    _, _, data = written(tmp_path, [before], [after])
    moved = data["people"][0]["moved"]
    assert moved["confident"] == 170
    (first, second) = moved["joints"]
    assert first[:2] == [23, "left_knee"] and second[:2] == [27, "left_knee"]
    assert 1.5 < first[2] / second[2] < 2.1 and second[2] == round(second[2], 1) > 0.5
    assert written(tmp_path, [before])[2]["people"][0]["moved"] is None
    assert written(tmp_path, [before], [])[2]["people"][0]["moved"] is None


# --- the page -------------------------------------------------------------------------------------

EVIL = "</script><script>alert(1)</script><!-- @@data@@ & \" ' \\"


def test_names_cannot_become_part_of_the_page(tmp_path):
    people = [track(person=EVIL)]
    _, text, data = written(tmp_path, people, labels=[EVIL], title=EVIL, notes=[EVIL])
    assert text.count("<script") == text.count("</script") == 2 and "alert(1)<" not in text
    assert "<title>&lt;/script&gt;" in text and "@@data@@ &amp;" in text
    assert data["labels"] == data["notes"] == [EVIL]
    assert data["people"][0]["name"] == f"person {EVIL}"
    written(tmp_path, people, title="bytes \udcff that are no UTF-8", labels=["\udcff"])


def test_the_page_needs_nothing_from_elsewhere(tmp_path):
    _, text, _ = written(tmp_path, [track()])
    assert not re.search(r"https?:|\ssrc=|url\(|@import|<link|\bfetch\(|import\(", text)
    assert "default-src 'none'" in text and not re.search(r"@@\w+@@", text)


def test_bad_requests_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"a\.pdf.*\.html"):
        write_report([[track()]], tmp_path / "a.pdf", ["input"], "")
    for panels, labels in (([], []), ([[]] * 3, ["", "", ""]), ([[]], ["", ""])):
        with pytest.raises(InputError, match="one or two"):
            write_report(panels, tmp_path / "a.html", labels, "")
    with pytest.raises(InputError, match="nowhere"):
        write_report([[track()]], tmp_path / "nowhere" / "a.html", ["input"], "")
    assert not list(tmp_path.iterdir())


# --- in a browser ---------------------------------------------------------------------------------

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

INK = """
const ink = canvas => {
  const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.filter((value, i) => i % 4 === 3 && value).length;
};
"""


@pytest.fixture
def shown(tmp_path):
    """Opens a page at an address, runs a script in it; what its document is then, in text."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("needs a Chromium browser on the path")

    def show(path, address="", script=""):
        page = tmp_path / "shown.html"
        script = f'<script>addEventListener("DOMContentLoaded", () => {{ {script} }})</script>'
        page.write_text(path.read_text().replace("</body>", script + "</body>"))
        done = subprocess.run(
            [
                program, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
                f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1200,900", "--dump-dom",
                f"file://{page}{address}",
            ],
            capture_output=True, text=True, timeout=600, check=True,
        )
        assert "CONSOLE" not in done.stderr, done.stderr
        return re.sub(r"<script.*?</script>", "", done.stdout, flags=re.S)

    return show


def test_the_page_shows_the_frame_of_its_address(tmp_path, shown):
    provenance = np.full((10, 17), Provenance.OBSERVED)
    provenance[:4, COCO.index("left_knee")] = Provenance.FILLED
    keypoints = np.random.default_rng(0).uniform(0, 500, (10, 17, 2))
    whole = PoseSequence(keypoints, frames=range(20, 30), provenance=provenance, person="<b>")
    path, _, _ = written(tmp_path, [track(person="other"), whole], title=EVIL)
    script = INK + """
      for (const id of ["curve", "map"]) document.body.dataset[id] = ink(byId(id));
      document.body.dataset.pose = ink(document.querySelector("#stage canvas"));
    """
    page = shown(path, "#frame=27&person=2", script)
    assert 'data-frame="27"' in page and "frame 27</output>" in page
    assert "person &lt;b&gt;</h2>" in page and "alert(1)&lt;" in page
    for name in ("curve", "map", "pose"):
        assert int(re.search(rf'data-{name}="(\d+)"', page)[1]) > 1000
    row = re.search(r"<tr><td>left knee</td>.*?</tr>", page)[0]
    assert re.findall(r"<td>([^<]*)</td>", row)[1:] == ["60.0", "–", "40.0", "–"]
    assert re.findall(r"width: (\d+)%", row) == ["60", "0", "40", "0"]
    page = shown(path, "#frame=9999&person=77")
    assert 'data-frame="11"' in page and "person other</h2>" in page


def test_the_page_lists_the_frames_with_joints_that_were_moved(tmp_path, shown):
    before, after = moved_pair()
    path, _, _ = written(tmp_path, [before], [after])
    page = shown(path, "", 'byId("movedFrames").querySelectorAll("button")[1].click();')
    assert "2 of 170 joints with at least the person's median score" in page
    assert re.search(r"frame 23</button></td><td>left knee \d\.\d</td>", page)
    assert 'data-frame="27"' in page


def test_the_scrubber_moves(tmp_path, shown):
    path, _, _ = written(tmp_path, [track()], [track(range(2, 60), "mpi_inf_3dhp")])
    script = """
      const passed = [];
      const note = () => passed.push(document.body.dataset.frame);
      const press = (key, more = {}) => {
        document.body.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, ...more}));
        note();
      };
      note();
      press("ArrowRight"); press("ArrowRight", {shiftKey: true}); press("ArrowLeft");
      press("End"); press("ArrowRight"); press("Home");
      byId("slider").value = 33; byId("slider").dispatchEvent(new Event("input")); note();
      byId("joint").value = "left_wrist"; byId("joint").dispatchEvent(new Event("change")); note();
      byId("track").value = "0"; byId("track").dispatchEvent(new Event("change")); note();
      byId("close").click(); note();
      press(" ");
      document.body.dataset.playing = byId("play").textContent;
      document.body.dataset.passed = passed;
    """
    page = shown(path, "", script)
    assert 'data-passed="2,3,13,12,59,59,2,33,33,33,33,33"' in page
    assert 'data-playing="Pause"' in page


def test_pages_with_little_in_them_open(tmp_path, shown):
    assert "There is nobody in it" in shown(written(tmp_path, [], [])[0])
    little = [
        PoseSequence(np.zeros((0, 17, 2))), PoseSequence(np.full((3, 17, 2), np.nan)),
        track([41], person=3),
    ]
    path, _, _ = written(tmp_path, little, [])
    clicks = 'document.querySelectorAll("#summary button").forEach(b => { b.click(); ' \
        'document.body.dataset["at" + b.textContent.slice(-1)] = byId("name").textContent; });'
    page = shown(path, "", clicks)
    assert 'data-at1="person 1: no frames"' in page and 'data-frame="41"' in page
