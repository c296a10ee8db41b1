"""How large the head of a labelled person is, and which way the trunk points, from labels alone.

There is no head to measure in such labels: its size follows from bones. In a picture a bone is as
long as it is only where it lies across the line of sight, and shorter anywhere else, so that the
longest that a bone is seen tells most. Nobody is seen so that every bone is foreshortened all the
time, but many are whose trunk is: on a bench seen from the feet, or bent towards the camera.
"""

import numpy as np

from posegan_jax.motion.labels import LabelledClip

TORSO = 0.6
"""Heads are so much of a torso, from the middle of the shoulders to that of the hips."""
TRUNK = "trunk"
SHARES = {TRUNK: 0.288, "shoulders": 0.259, "upper arm": 0.186, "thigh": 0.245, "shin": 0.246}
"""Bones in statures (R. Drillis and R. Contini, Body Segment Parameters, 1966, as in D. Winter,
Biomechanics and Motor Control of Human Movement, figure 4.1). Forearms are left out, as labels of
wrists are the most uncertain ones."""
LONGEST = 0.9
"""Quantile over the frames of a clip that a bone's length is: some labels are misplaced."""
LEAST = 12
"""Frames that a bone must be marked in, or it tells nothing."""
_PAIRS = {"upper arm": ("shoulder", "elbow"), "thigh": ("hip", "knee"), "shin": ("knee", "ankle")}
_SIDES = "left", "right"


def head_size(clip: LabelledClip) -> float:
    """Pixels of a head: ``TORSO`` of the torso that the clip's bones tell of.

    Every bone tells a torso by its share of the stature; of both sides the shorter one counts, so
    that a limb that is near the camera, or misplaced, does not. The trunk is believed unless two
    other bones say that it is foreshortened: then the less that these two say.

    Returns:
      NaN where neither the trunk nor two bones are marked in enough frames.
    """
    torsos = {
        bone: SHARES[TRUNK] / SHARES[bone] * length for bone, length in bone_lengths(clip).items()
    }
    trunk = torsos.pop(TRUNK, np.nan)
    second = sorted(torsos.values())[-2] if len(torsos) > 1 else np.nan
    return float(TORSO * np.fmax(trunk, second))


def bone_lengths(clip: LabelledClip) -> dict[str, float]:
    """Pixels of the bones of ``SHARES`` that are marked in enough frames: the quantile ``LONGEST``
    of the shorter one of both sides."""
    shoulders = [_place(clip, f"{side}_shoulder") for side in _SIDES]
    bones = {TRUNK: [_length(trunk(clip))], "shoulders": [_length(shoulders[0] - shoulders[1])]}
    bones |= {
        bone: [_length(_place(clip, f"{side}_{a}") - _place(clip, f"{side}_{b}"))
               for side in _SIDES]
        for bone, (a, b) in _PAIRS.items()
    }
    lengths = {bone: min(sides) for bone, sides in bones.items()}
    return {bone: length for bone, length in lengths.items() if 0 < length < np.inf}


def trunk(clip: LabelledClip) -> np.ndarray:
    """(T, 2) pixels from the hips to the shoulders, from middle to middle, or of one side where
    the other one is not marked; NaN where none is."""
    left, right = (
        _place(clip, f"{side}_shoulder") - _place(clip, f"{side}_hip") for side in _SIDES
    )
    both = (left + right) / 2
    one = np.where(np.isfinite(left), left, right)
    return np.where(np.isfinite(both), both, one)


def turn(clip: LabelledClip) -> float | None:
    """Degrees between the median trunk of a clip and upright; None where it is never marked."""
    up = trunk(clip)
    up = up[np.isfinite(up).all(axis=-1)]
    if not up.any():
        return None
    x, y = np.median(up, axis=0)
    return float(np.degrees(np.arctan2(abs(x), -y)))


def _place(clip: LabelledClip, joint: str) -> np.ndarray:
    """(T, 2) pixels, NaN where it has no label."""
    if joint not in clip.joints:
        return np.full((len(clip.keypoints), 2), np.nan)
    return clip.keypoints[:, clip.joints.index(joint)]


def _length(bone: np.ndarray) -> float:
    """The quantile of a bone (T, 2); infinite where too few frames show it."""
    lengths = np.linalg.norm(bone, axis=-1)
    lengths = lengths[np.isfinite(lengths)]
    return float(np.quantile(lengths, LONGEST)) if len(lengths) >= LEAST else np.inf
