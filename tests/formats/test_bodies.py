"""Where bodies stand in JSON."""

from pathlib import Path

import pytest

from posegan_jax.errors import InputError
from posegan_jax.formats import bodies

PATH = Path("a.json")
BODY = [{"name": name, "x": 1, "y": 2} for name in ("nose", "left_hip", "right_hip")]
NAMED = {point["name"]: {"x": 1, "y": 2} for point in BODY}


@pytest.mark.parametrize(
    "content, frames, ways",
    [
        ([BODY, BODY], [0, 1], [((0,), ()), ((1,), ())]),
        ([NAMED], [0], [((0,), ())]),
        ([{"keypoints": BODY}, {"keypoints": []}], [0, 1], [((0,), ("keypoints",))]),
        ([[{"pose": {"keypoints": BODY}}]], [0], [((0, 0), ("pose", "keypoints"))]),
        ({"data": [{"frame": 7, "people": [{"joints": NAMED}]}, {"frame": 9, "people": []}]},
         [7, 9], [(("data", 0, "people", 0), ("joints",))]),
        ({"keypoints": BODY}, [0], [((), ("keypoints",))]),
        ([{"image": f"{t}.png", "parts": BODY} for t in (4, 2)], [4, 2],
         [((0,), ("parts",)), ((1,), ("parts",))]),
    ],
)
def test_layouts(content, frames, ways):
    layout = bodies.layout_of(content, PATH, None)
    assert layout.numbers == frames
    assert [(body.person, body.inner) for body in layout.bodies] == ways
    for person, inner in ways:
        assert bodies.is_body(bodies.at(content, (*person, *inner)))


def test_frames_by_their_names_are_listed():
    frames = {"3.png": [{"keypoints": BODY}], "5.png": []}
    for content, key in ((frames, None), ({"fps": 5, "frames": frames}, "frames")):
        listed, named = bodies.listed(content)
        assert (named.key, named.names) == (key, ["3.png", "5.png"])
        assert bodies.layout_of(listed, PATH, named).numbers == [3, 5]
    assert bodies.listed([BODY]) == ([BODY], None) and bodies.listed(NAMED) == (NAMED, None)


@pytest.mark.parametrize("content", [{"a": 1}, 5, [5], [{"keypoints": [[1, 2]]}]])
def test_no_layout(content):
    with pytest.raises(InputError, match="^a.json: "):
        bodies.layout_of(content, PATH, None)
