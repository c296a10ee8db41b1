"""Skeletons are data: named joints, their parents, their mirror images, their rows.

A joint is known by its name, never by its index. The same name in two skeletons means the same
point of the body, so that sequences can be carried from one skeleton to another by name alone.
Where two detectors use one word for different points, the points have different names here: the
"neck" of OpenPose is by definition the midpoint of the shoulders, hence ``mid_shoulder``.
"""

import dataclasses
import functools
from collections.abc import Collection

import numpy as np

from posegan_jax.errors import InputError

# Stems of joint names along the body from hands to feet: the order of the networks' rows.
_BODY_ORDER = (
    "pinky index thumb hand wrist elbow shoulder clavicle head_top eye ear nose head upper_neck "
    "neck thorax mid_shoulder spine4 spine3 spine2 spine pelvis mid_hip hip knee ankle heel foot "
    "small_toe big_toe toe"
).split()

DETECTED_12 = tuple(
    f"{side}_{part}"
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    for side in ("left", "right")
)
"""The joints that practically every detector delivers; what the packaged model observes."""

DERIVED = {
    "mid_shoulder": ("left_shoulder", "right_shoulder"),
    "mid_hip": ("left_hip", "right_hip"),
}
"""Joints that are by definition the midpoint of two others."""

_BESIDES = {
    # As OpenPose marks it in BODY_25B, over 100 frames of four calibrated cameras.
    "upper_neck": {"neck": 0.9, "nose": 0.1},
    # By the field's mapping of COCO's joints to MPII's.
    "thorax": {"left_shoulder": 0.5, "right_shoulder": 0.5},
    # An eye is 25 to 30 mm wide, and two are some 63 mm apart.
    "left_eye_inner": {"left_eye": 0.77, "right_eye": 0.23},
    "left_eye_outer": {"left_eye": 1.23, "right_eye": -0.23},
    # A corner is 23 mm beside the middle of the face, and 63 mm below the eyes of a head whose
    # pupils are 57 mm apart: of all sums of these points the one of least squares.
    "left_mouth": {
        "left_eye": 0.11, "right_eye": -0.01, "nose": 0.81, "left_ear": -0.13, "right_ear": -0.41,
        "head": 0.63,
    },
    # BlazePose's tip of the foot, the second toe's.
    "left_foot_index": {"left_big_toe": 0.75, "left_small_toe": 0.25},
}


def _other_side(joint: str) -> str:
    side, _, stem = joint.partition("_")
    return {"left": f"right_{stem}", "right": f"left_{stem}"}.get(side, joint)


FOLLOWING = {
    joint: parts for one, weights in _BESIDES.items() for joint, parts in (
        (one, weights), (_other_side(one), {_other_side(part): w for part, w in weights.items()}),
    )
}
"""Joints that are, on most bodies and to a centimetre or two, at a weighted mean of others: their
names and weights. No detector's number is told by it, but what is missing of theirs."""


@dataclasses.dataclass(frozen=True)
class Skeleton:
    """A set of named joints.

    Attributes:
      name: registered name, e.g. 'coco17'.
      joints: names; sides are the prefixes 'left_' and 'right_'.
      parents: index of every joint's parent, -1 for a root. Detectors' skeletons may have several
        roots.
      mirror: index of every joint's mirror image; its own for a joint on the symmetry plane.
      rows: (left, right) indices, from hands to feet; a joint on the symmetry plane stands twice
        (thesis, section 4.2 and figure 3).
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    mirror: tuple[int, ...] = dataclasses.field(init=False)
    rows: tuple[tuple[int, int], ...] = dataclasses.field(init=False)

    def __post_init__(self):
        """Derives mirror and rows. Raises InputError on duplicate or one-sided joints."""
        if len(set(self.joints)) != len(self.joints):
            raise InputError(f"skeleton {self.name}: a joint name appears twice")
        if len(self.parents) != len(self.joints):
            raise InputError(f"skeleton {self.name}: every joint needs a parent, or -1")
        object.__setattr__(self, "mirror", tuple(self._mirror_of(j) for j in self.joints))
        object.__setattr__(self, "rows", self._find_rows())

    def __len__(self) -> int:
        return len(self.joints)

    def __contains__(self, joint: str) -> bool:
        return joint in self.joints

    def index(self, joint: str) -> int:
        """Index of a joint. Raises InputError when the skeleton has no such joint."""
        try:
            return self.joints.index(joint)
        except ValueError:
            raise InputError(
                f"skeleton {self.name} has no joint {joint!r}; it has: {', '.join(self.joints)}"
            ) from None

    def bones(self) -> tuple[tuple[int, int], ...]:
        """(parent, child) index pairs."""
        return tuple((p, c) for c, p in enumerate(self.parents) if p >= 0)

    def mask(self, joints: Collection[str]) -> np.ndarray:
        """(J,) bool, which of its joints are among those named."""
        return np.array([joint in joints for joint in self.joints])

    def map_to(self, target: "Skeleton") -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
        """How joints carry over to another skeleton, by name.

        Returns:
          source, destination: index arrays of equal length, ``new[destination] = old[source]``;
          lost: names of joints that the target lacks.
        """
        pairs = [(i, target.joints.index(n)) for i, n in enumerate(self.joints) if n in target]
        source, destination = np.array(pairs, int).reshape(-1, 2).T
        return source, destination, tuple(n for n in self.joints if n not in target)

    def mirror_keypoints(self, keypoints: np.ndarray, width: float = 0.0) -> np.ndarray:
        """The pose seen in a mirror: x becomes ``width - x`` and sides swap, (..., J, 2)."""
        mirrored = np.asarray(keypoints)[..., list(self.mirror), :].copy()
        mirrored[..., 0] = width - mirrored[..., 0]
        return mirrored

    def _mirror_of(self, joint: str) -> int:
        return self.index(_other_side(joint))

    def _find_rows(self) -> tuple[tuple[int, int], ...]:
        pairs = [(i, self.mirror[i]) for i, n in enumerate(self.joints) if n[:6] != "right_"]
        return tuple(sorted(pairs, key=lambda pair: _rank(self.joints[pair[0]])))


def _rank(joint: str) -> int:
    stem = joint.removeprefix("left_")
    # Points that no registered skeleton has go last, in the order of the joints.
    return _BODY_ORDER.index(stem) if stem in _BODY_ORDER else len(_BODY_ORDER)


LISTED = "joints:"
"""Begins the names of skeletons that no one registered; their joints follow, with commas."""


def get_skeleton(name: str) -> Skeleton:
    """A registered skeleton, or the one whose joints the name lists, e.g. 'joints:nose,neck'.

    Raises InputError for an unknown name.
    """
    if name.startswith(LISTED):
        return _listed(name)
    if name not in SKELETONS:
        raise InputError(f"unknown skeleton {name!r}; known: {', '.join(SKELETONS)}")
    return SKELETONS[name]


@functools.cache
def _listed(name: str) -> Skeleton:
    return make_skeleton(name, tuple(name.removeprefix(LISTED).split(",")))


def register(skeleton: Skeleton) -> None:
    """Makes a skeleton known by its name to sequences, files, commands and models of this process.

    Its joints become names that tables' columns are recognised by. Files that tell joints by their
    number alone need it as their joint map.

    Raises:
      InputError: the name is another skeleton's, or one that lists joints.
    """
    if skeleton.name.startswith(LISTED):
        raise InputError(f"the name {skeleton.name!r} lists joints; give the skeleton another one")
    if SKELETONS.setdefault(skeleton.name, skeleton) != skeleton:
        raise InputError(f"there is another skeleton {skeleton.name!r} already")


# --- the registered skeletons ---------------------------------------------------------------------

# Every joint's parent in the full body. A skeleton's own parents are found by walking up from each
# joint to the first ancestor that the skeleton has.
_PARENT = {
    "mid_hip": "pelvis",
    "spine": "pelvis",
    "spine2": "spine",
    "spine3": "spine2",
    "spine4": "spine3",
    "neck": "spine4",
    "thorax": "neck",
    "mid_shoulder": "thorax",
    "upper_neck": "mid_shoulder",
    "head": "upper_neck",
    "head_top": "head",
    "nose": "head",
} | {
    f"{side}_{joint}": parent.replace("*", side)
    for side in ("left", "right")
    for joint, parent in {
        "eye": "nose",
        "ear": "*_eye",
        "clavicle": "mid_shoulder",
        "shoulder": "*_clavicle",
        "elbow": "*_shoulder",
        "wrist": "*_elbow",
        "hand": "*_wrist",
        "hip": "mid_hip",
        "knee": "*_hip",
        "ankle": "*_knee",
        "heel": "*_ankle",
        "foot": "*_ankle",
        "toe": "*_foot",
        "big_toe": "*_foot",
        "small_toe": "*_foot",
        "eye_inner": "nose",
        "eye_outer": "*_eye",
        "mouth": "nose",
        "pinky": "*_wrist",
        "index": "*_wrist",
        "thumb": "*_wrist",
        "foot_index": "*_foot",
        "hand_root": "*_wrist",
    }.items()
}
_FINGERS = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")
_PARENT |= {
    f"{side}_{finger}{i}": f"{side}_{finger}{i - 1}" if i > 1 else f"{side}_hand_root"
    for side in ("left", "right") for finger in _FINGERS for i in (1, 2, 3, 4)
}


def beyond(joint: str, start: str) -> bool:
    """Whether a joint is ``start`` or hangs on it in the full body, as left_hand on left_elbow."""
    return joint == start or joint in _PARENT and beyond(_PARENT[joint], start)


def make_skeleton(name: str, joints: tuple[str, ...]) -> Skeleton:
    """A skeleton of the given joints, parents found in the full body by name.

    Raises:
      InputError: on duplicate joints or a side without its mirror image.
    """

    def ancestor(start: str) -> int:
        joint = start
        while joint in _PARENT:
            joint = _PARENT[joint]
            if joint in joints:
                return joints.index(joint)
        if joint == "pelvis" and start not in ("mid_hip", "left_hip", "right_hip"):
            return joints.index("mid_hip") if "mid_hip" in joints else -1
        return -1

    parents = [ancestor(joint) for joint in joints]
    # Detectors with no joint on the trunk: tie hips to shoulders, so that the body hangs together.
    for side in ("left", "right"):
        hip, shoulder = f"{side}_hip", f"{side}_shoulder"
        if hip in joints and shoulder in joints and parents[joints.index(hip)] < 0:
            parents[joints.index(hip)] = joints.index(shoulder)
    return Skeleton(name, tuple(joints), tuple(parents))


def skeleton_of(joints: tuple[str, ...]) -> Skeleton:
    """The registered skeleton with these joints, in its own order, else one that lists them.

    Raises:
      InputError: on duplicate joints or a side without its mirror image.
    """
    for skeleton in SKELETONS.values():
        if len(skeleton) == len(joints) and set(skeleton.joints) == set(joints):
            return skeleton
    return get_skeleton(LISTED + ",".join(joints))


_COCO17 = (
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow "
    "right_elbow left_wrist right_wrist left_hip right_hip left_knee right_knee left_ankle "
    "right_ankle"
)

# Fang et al., AlphaPose (Halpe full-body): COCO's 17, then head, neck, hip and feet.
_HALPE26 = (
    f"{_COCO17} head_top neck pelvis left_big_toe right_big_toe left_small_toe right_small_toe "
    "left_heel right_heel"
)


def _across(part: str, count: int, middle: str = "") -> str:
    """A contour from the person's right to the left, through a point in the middle or not."""
    right = [f"right_{part}{i}" for i in range(count)]
    return " ".join([*right, middle, *(f"left_{part}{i}" for i in reversed(range(count)))])


# The 68 points of iBUG 300-W (Sagonas et al., 2013), in its order.
_FACE68 = (
    f"{_across('jaw', 8, 'chin')} {_across('brow', 5)} "
    "nose_bridge0 nose_bridge1 nose_bridge2 nose_bridge3 "
    f"{_across('nostril', 2, 'nose_base')} "
    "right_eye_lid0 right_eye_lid1 right_eye_lid2 right_eye_lid3 right_eye_lid4 right_eye_lid5 "
    "left_eye_lid3 left_eye_lid2 left_eye_lid1 left_eye_lid0 left_eye_lid5 left_eye_lid4 "
    "right_mouth_corner right_upper_lip0 right_upper_lip1 upper_lip "
    "left_upper_lip1 left_upper_lip0 left_mouth_corner left_lower_lip0 left_lower_lip1 lower_lip "
    "right_lower_lip1 right_lower_lip0 right_inner_corner right_inner_upper_lip inner_upper_lip "
    "left_inner_upper_lip left_inner_corner left_inner_lower_lip inner_lower_lip "
    "right_inner_lower_lip"
)

# Jin et al., COCO-WholeBody: face, then 21 joints of each hand. Halpe ends in the same way.
_FACE_AND_HANDS = " ".join([
    _FACE68,
    *(
        f"{side}_{joint}" for side in ("left", "right")
        for joint in ("hand_root", *(f"{finger}{i}" for finger in _FINGERS for i in (1, 2, 3, 4)))
    ),
])

# Mehta et al., 3DV 2017, all 28 joints in the order of the annotation files.
_MPI28 = (
    "spine3 spine4 spine2 spine pelvis neck head head_top "
    "left_clavicle left_shoulder left_elbow left_wrist left_hand "
    "right_clavicle right_shoulder right_elbow right_wrist right_hand "
    "left_hip left_knee left_ankle left_foot left_toe "
    "right_hip right_knee right_ankle right_foot right_toe"
)

SKELETONS: dict[str, Skeleton] = {
    name: make_skeleton(name, tuple(joints.split()))
    for name, joints in {
        "mpi_inf_3dhp": _MPI28,
        "coco17": _COCO17,
        "halpe26": _HALPE26,
        "halpe136": f"{_HALPE26} {_FACE_AND_HANDS}",
        "coco133": (
            f"{_COCO17} left_big_toe left_small_toe left_heel right_big_toe right_small_toe "
            f"right_heel {_FACE_AND_HANDS}"
        ),
        # Cao et al., OpenPose BODY_25; its Neck and MidHip are midpoints by definition.
        "body25": (
            "nose mid_shoulder right_shoulder right_elbow right_wrist left_shoulder left_elbow "
            "left_wrist mid_hip right_hip right_knee right_ankle left_hip left_knee left_ankle "
            "right_eye left_eye right_ear left_ear left_big_toe left_small_toe left_heel "
            "right_big_toe right_small_toe right_heel"
        ),
        # OpenPose BODY_25B: COCO's 17, then MPII's upper neck and top of the head, then feet.
        "body25b": (
            f"{_COCO17} upper_neck head_top left_big_toe left_small_toe left_heel right_big_toe "
            "right_small_toe right_heel"
        ),
        # OpenPose COCO model with 18 keypoints.
        "coco18": (
            "nose mid_shoulder right_shoulder right_elbow right_wrist left_shoulder left_elbow "
            "left_wrist right_hip right_knee right_ankle left_hip left_knee left_ankle right_eye "
            "left_eye right_ear left_ear"
        ),
        # Human3.6M, the 17 joints used by 2D-to-3D lifting; joint 8 ("thorax") is the base of the
        # neck and joint 9 ("neck/nose") the head, as in the field's mapping to MPI-INF-3DHP.
        "h36m17": (
            "pelvis right_hip right_knee right_ankle left_hip left_knee left_ankle spine neck head "
            "head_top left_shoulder left_elbow left_wrist right_shoulder right_elbow right_wrist"
        ),
        # Andriluka et al., CVPR 2014.
        "mpii16": (
            "right_ankle right_knee right_hip left_hip left_knee left_ankle pelvis thorax "
            "upper_neck head_top right_wrist right_elbow right_shoulder left_shoulder left_elbow "
            "left_wrist"
        ),
        # Bazarevsky et al., BlazePose (MediaPipe). Its pinky, index and thumb are knuckles, its
        # foot index is the tip of the foot.
        "mediapipe33": (
            "nose left_eye_inner left_eye left_eye_outer right_eye_inner right_eye right_eye_outer "
            "left_ear right_ear left_mouth right_mouth left_shoulder right_shoulder left_elbow "
            "right_elbow left_wrist right_wrist left_pinky right_pinky left_index right_index "
            "left_thumb right_thumb left_hip right_hip left_knee right_knee left_ankle right_ankle "
            "left_heel right_heel left_foot_index right_foot_index"
        ),
        # The 12 joints that the thesis takes from AlphaPose (section 7.1), in COCO's order.
        "alphapose12": " ".join(DETECTED_12),
        # The 28 and what detectors mark besides on face, feet and hands: points that motion capture
        # carries rigidly on its bones. Thumb, index and pinky are knuckles, as in mediapipe33.
        "body45": (
            f"{_MPI28} nose left_eye right_eye left_ear right_ear "
            "left_heel left_big_toe left_small_toe right_heel right_big_toe right_small_toe "
            "left_thumb left_index left_pinky right_thumb right_index right_pinky"
        ),
    }.items()
}

NAMED_ONLY = frozenset({"body45"})
"""Skeletons that a file must name, as other bodies have as many joints (SMPL's 45)."""
