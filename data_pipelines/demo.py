"""Makes the track of ``posegan demo``: procedural motion, projected, seen by a simulated detector.

    python -m data_pipelines.demo --out posegan_jax/assets/demo-alphapose-results.json

The motion is posegan_jax.motion.procedural's; the detector jitters, misses joints for several
frames at a time, loses the legs where the person leaves the picture, and misses whole frames. The
errors follow the statistics of Moon et al., PoseFix (CVPR 2019), in kind rather than in number.
"""

import argparse
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from posegan_jax.geometry.camera import look_at, project
from posegan_jax.motion.clip import Clip
from posegan_jax.motion.procedural import procedural_clips
from posegan_jax.pose.carry import carry_joints
from posegan_jax.pose.skeleton import get_skeleton
from posegan_jax.runtime.files import atomic_path

WIDTH, HEIGHT = 1280, 720
FRAMES = 120
ABSENT = (range(70, 78),)
"""Frames in which the detector finds nobody."""
LOST = {
    "left_wrist": range(15, 40),
    "left_elbow": range(22, 36),
    "right_ankle": range(48, 62),
    "right_knee": range(52, 60),
    "right_wrist": range(88, 110),
}
"""Joints hidden for a while."""


def main() -> None:
    """Writes the track."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--activity", default="walking")
    parser.add_argument("--seed", type=int, default=3)
    options = parser.parse_args()
    clip = next(
        clip for clip in procedural_clips("validation")
        if options.activity in clip.text and len(clip.positions) >= FRAMES
    )
    truth = coco17(clip)[:FRAMES]
    records = detect(film(truth), np.random.default_rng(options.seed))
    with atomic_path(options.out) as temporary:
        temporary.write_text(json.dumps(records) + "\n")


def coco17(clip: Clip) -> np.ndarray:
    """(T, 17, 3): the joints that both skeletons have, and a face put on the head."""
    model, target = get_skeleton("mpi_inf_3dhp"), get_skeleton("coco17")
    result = carry_joints(clip.positions.astype(np.float64), model, target, 0.0)

    def joint(name):
        return clip.positions[:, model.index(name)]

    def unit(vector):
        return vector / np.linalg.norm(vector, axis=-1, keepdims=True)

    up = unit(joint("head_top") - joint("neck"))
    left = unit(joint("left_shoulder") - joint("right_shoulder"))
    ahead = unit(np.cross(left, up))
    middle = (joint("head") + joint("head_top")) / 2
    for name, (sideways, high, forward) in {
        "nose": (0, -30, 105), "left_eye": (32, 5, 85), "right_eye": (-32, 5, 85),
        "left_ear": (72, -10, 0), "right_ear": (-72, -10, 0),
    }.items():
        result[:, target.index(name)] = middle + sideways * left + high * up + forward * ahead
    return result


def film(points: np.ndarray) -> np.ndarray:
    """(T, K, 3) millimetres -> (T, K, 2) pixels of a camera that stands still beside the way."""
    camera = look_at(
        yaw=jnp.asarray(0.9), pitch=jnp.asarray(0.12), distance=jnp.asarray(4200.0),
        target=jnp.asarray(points.mean(axis=(0, 1)) + [0, 150.0, 0]), focal=jnp.asarray(900.0),
    )
    image, _ = project(jnp.asarray(points, jnp.float32), camera)
    return np.asarray(image, np.float64) + [WIDTH / 2, HEIGHT / 2]


def detect(keypoints: np.ndarray, rng: np.random.Generator) -> list[dict]:
    """AlphaPose-like objects for the frames in which the person is found."""
    skeleton = get_skeleton("coco17")
    frames, joints = keypoints.shape[:2]
    height = np.ptp(keypoints[..., 1], axis=1).mean()
    noisy = keypoints + rng.normal(scale=0.005 * height, size=keypoints.shape)
    scores = rng.uniform(0.75, 0.95, (frames, joints))
    for name, when in LOST.items():
        where = np.ix_(list(when), [skeleton.index(name)])
        noisy[where] += rng.normal(scale=0.12 * height, size=noisy[where].shape)
        scores[where] = rng.uniform(0.01, 0.08, scores[where].shape)
    outside = ((noisy < 0) | (noisy >= [WIDTH, HEIGHT])).any(-1)
    noisy = np.clip(noisy, 0, [WIDTH - 1, HEIGHT - 1])
    scores[outside] = rng.uniform(0.0, 0.05, outside.sum())
    absent = {frame for stretch in ABSENT for frame in stretch}
    seen = (frame for frame in range(frames) if frame not in absent)
    return [_record(frame, noisy[frame], scores[frame]) for frame in seen]


def _record(frame: int, keypoints: np.ndarray, scores: np.ndarray) -> dict:
    low, high = keypoints.min(axis=0) - 20, keypoints.max(axis=0) + 20
    values = np.concatenate([keypoints, scores[:, None]], axis=-1)
    return {
        "image_id": f"{frame}.jpg",
        "category_id": 1,
        "keypoints": [round(v, 3) for v in values.ravel().tolist()],
        "score": round(float(scores.mean()) + 2.0, 3),
        "box": [round(v, 1) for v in (*low, *(high - low))],
        "idx": 0,
    }


if __name__ == "__main__":
    main()
