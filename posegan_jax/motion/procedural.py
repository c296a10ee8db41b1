"""An embedded motion set: people whose movements are computed, so that training needs no download.

A movement is a ``_Plan``: smooth functions of time for the pelvis, the trunk, the head, the arms
and the places of the feet on the floor. ``_positions`` turns a plan into joints: forward kinematics
for trunk and arms, two-bone inverse kinematics for the legs, so that feet stay where they are put.

Conventions: y up, z forward, x to the left of the body; angles in degrees, lengths in millimetres,
times in seconds. Positive pitch leans forward (toes down), positive yaw turns left, positive roll
lifts the left side.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from posegan_jax.errors import InputError
from posegan_jax.motion.clip import Clip
from posegan_jax.pose.skeleton import get_skeleton

FPS = 25.0
_SIDES = {"left": 1.0, "right": -1.0}
_SPINE = ("spine", "spine2", "spine3", "spine4", "neck")
_SPINE_CURVE = (-5.0, -2.0, 3.0, 5.0, 4.0)  # degrees of pitch, from one link to the next
_STRAIGHT = 0.992  # share of its full length that a leg may reach: knees are never locked


def procedural_clips(split: str) -> list[Clip]:
    """The embedded motion set.

    Args:
      split: 'train' (about 60 clips) or 'validation' (one clip per activity). No subject is in
        both.

    Returns:
      Clips of 100 to 200 frames at 25 fps, the same at every call. Every clip begins near
      x = z = 0, with the floor at y = 0; name and text say the activity.

    Raises:
      InputError: for any other split.
    """
    if split not in _SPLITS:
        raise InputError(f"procedural motion has no split {split!r}; it has: {', '.join(_SPLITS)}")
    seed, subjects = _SPLITS[split]
    schedule = [
        (name, activity)
        for name, (activity, count) in _ACTIVITIES.items()
        for _ in range(count if split == "train" else 1)
    ]
    clips = []
    for number, (name, activity) in enumerate(schedule):
        subject = number % subjects
        body = _Body.draw(np.random.default_rng((seed, 0, subject)))
        clips.append(
            Clip(
                positions=_perform(np.random.default_rng((seed, 1, number)), body, activity),
                fps=FPS,
                subject=f"procedural_{split}_{subject:02d}",
                name=f"{split}_{number:02d}_{name.replace(' ', '_')}",
                text=name,
            )
        )
    return clips


def _perform(rng, body: "_Body", activity: Callable) -> np.ndarray:
    """(T, J, 3) float32 positions of one clip."""
    time = np.arange(rng.integers(100, 201)) / FPS
    # Nobody moves like clockwork: activities read a clock that runs a little fast or slow.
    clock = time + _noise(rng, time, 0.06)
    plan = _rest(rng, body, time)
    activity(rng, body, clock, plan)
    positions = _positions(body, plan)
    positions = positions @ _rotation("y", rng.uniform(-180.0, 180.0)).T
    origin = positions[0, get_skeleton("mpi_inf_3dhp").index("pelvis")] * (1.0, 0.0, 1.0)
    return (positions - origin).astype(np.float32)


# --- the body -------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Body:
    """Lengths; the defaults are average shares of stature.

    The pelvis is ``hip_drop`` above the hips, the ankle joint ``ankle`` above the sole, the ball
    of the foot ``foot`` in front of the ankle, and the heel ``heel`` behind it.
    """

    trunk: float = 0.300
    waist: float = 0.105
    neck: float = 0.055
    head: float = 0.103
    hip_width: float = 0.135
    hip_drop: float = 0.012
    thigh: float = 0.243
    shank: float = 0.243
    ankle: float = 0.046
    heel: float = 0.028
    foot: float = 0.072
    toe: float = 0.035
    shoulder_width: float = 0.215
    upper_arm: float = 0.170
    forearm: float = 0.146
    hand: float = 0.048

    @classmethod
    def draw(cls, rng) -> "_Body":
        """A person of 150 to 195 cm with proportions of its own."""
        shares = {
            field.name: field.default * np.clip(rng.normal(1.0, 0.045), 0.9, 1.1)
            for field in dataclasses.fields(cls)
        }
        shares["waist"] *= rng.uniform(0.75, 1.3)
        scale = rng.uniform(1500.0, 1950.0) / cls(**shares).stature
        return cls(**{name: share * scale for name, share in shares.items()})

    @property
    def leg(self) -> float:
        return self.thigh + self.shank

    @property
    def stature(self) -> float:
        return self.ankle + self.leg + self.hip_drop + self.trunk + self.neck + self.head


@dataclasses.dataclass
class _Plan:
    """What the body does at T times.

    Attributes:
      ground: (T, 3) x, z and yaw of the spot on the floor that the body stands over.
      pelvis: (T, 3) displacement of the pelvis from upright standing, in the ground's directions.
      hips, trunk, head: (T, 3) yaw, pitch and roll: of the pelvis against the ground, of the spine
        in all from pelvis to neck, of the head against the chest.
      arms: per side (T, 4) forward, aside and inward (about its own axis) angles of the upper arm,
        flexion of the elbow. Zeros let the arm hang straight down, whatever the trunk does.
      wrists: per side (T, 2) flexion and deviation of the hand.
      feet: per side (T, 5) x, z and yaw of the ankle's place on the floor, pitch of the foot about
        its ball (toes down) or heel (toes up), lift.
    """

    ground: np.ndarray
    pelvis: np.ndarray
    hips: np.ndarray
    trunk: np.ndarray
    head: np.ndarray
    arms: dict[str, np.ndarray]
    wrists: dict[str, np.ndarray]
    feet: dict[str, np.ndarray]


# --- smooth functions of time ---------------------------------------------------------------------


def _noise(rng, time, amplitude, period: float = 2.5) -> np.ndarray:
    """Slow random motion of zero mean, of the shape (T,) + amplitude's."""
    amplitude = np.asarray(amplitude, float)
    waves = (4, *amplitude.shape)
    rate = 2 * np.pi / (period * rng.uniform(0.6, 3.0, waves))
    phase = rng.uniform(0.0, 2 * np.pi, waves)
    angle = np.multiply.outer(time, rate) + phase
    return amplitude * np.sin(angle).sum(axis=1) / 2.0


def _ease(x: np.ndarray) -> np.ndarray:
    """From 0 at 0 to 1 at 1, at rest outside."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def _repeat(clock, period: float, rest: float = 0.3) -> np.ndarray:
    """From 0 to 1 and back in every period, at rest for the given share of it."""
    wave = 0.5 - 0.5 * np.cos(2 * np.pi * clock / period)
    return _ease((wave - rest / 2) / (1.0 - rest))


def _poses(rng, clock, low, high, every: float) -> np.ndarray:
    """(T, C): from one random pose between low and high (C,) to the next."""
    count = int(np.ceil((clock.max() - clock.min()) / every)) + 3
    poses = rng.uniform(low, high, (count, len(low)))
    step = (clock - clock.min()) / every + rng.uniform()
    index = np.floor(step).astype(int)
    part = _ease((step - index) * 1.4)[:, None]
    return poses[index] * (1.0 - part) + poses[index + 1] * part


# --- kinematics -----------------------------------------------------------------------------------


def _rotation(axis: str, degrees) -> np.ndarray:
    """(..., 3, 3) rotation about a coordinate axis."""
    angle = np.radians(degrees)
    first = "xyz".index(axis)
    i, j = (first + 1) % 3, (first + 2) % 3
    matrix = np.zeros((*angle.shape, 3, 3))
    matrix[..., first, first] = 1.0
    matrix[..., i, i] = matrix[..., j, j] = np.cos(angle)
    matrix[..., j, i] = np.sin(angle)
    matrix[..., i, j] = -matrix[..., j, i]
    return matrix


def _turn(angles: np.ndarray) -> np.ndarray:
    """(T, 3, 3) of (T, 3) yaw, pitch and roll."""
    yaw, pitch, roll = angles.T
    return _rotation("y", yaw) @ _rotation("x", pitch) @ _rotation("z", roll)


def _apply(matrix: np.ndarray, *vector) -> np.ndarray:
    """(T, 3): the matrices times a vector given by its components, numbers or (T,)."""
    columns = (matrix[..., i] * np.asarray(v)[..., None] for i, v in enumerate(vector))
    return sum(columns)


def _positions(body: _Body, plan: _Plan) -> np.ndarray:
    """(T, J, 3) joints of a plan."""
    ground = _rotation("y", plan.ground[:, 2])
    hips = ground @ _turn(plan.hips)
    pelvis = _apply(ground, *plan.pelvis.T)
    pelvis[:, [0, 2]] += plan.ground[:, :2]
    pelvis[:, 1] += body.ankle + body.hip_drop + _STRAIGHT * body.leg
    feet = {side: _foot(body, *plan.feet[side].T) for side in _SIDES}
    pelvis[:, 1] -= _too_high(body, pelvis, hips, feet)
    joints = {"pelvis": pelvis}
    for side, foot in feet.items():
        _add_leg(joints, body, side, hips, foot, plan.feet[side][:, 2])
    chest = _add_trunk(joints, body, hips, plan)
    for side in _SIDES:
        _add_arm(joints, body, side, chest, plan.arms[side], plan.wrists[side])
    return np.stack([joints[name] for name in get_skeleton("mpi_inf_3dhp").joints], axis=1)


def _foot(body: _Body, x, z, yaw, pitch, lift) -> dict[str, np.ndarray]:
    """Ankle, foot and toe joints of a foot that rolls over its heel or ball without sliding."""
    ball_height, toe_height = 0.3 * body.ankle, 0.22 * body.ankle
    # Where the toes point down the foot turns about its ball, where they point up about the heel.
    pivot_y = np.where(pitch > 0, ball_height, 0.0)
    pivot_z = np.where(pitch > 0, body.foot, -body.heel)
    rolled = _rotation("x", pitch)
    # On the floor the toes stay flat when the heel rises; in the air they follow the foot.
    flat = np.clip(1.0 - lift / 80.0, 0.0, 1.0)
    toes = _rotation("x", np.where(pitch > 0, (1.0 - flat) * pitch, pitch))
    pivot = np.stack([np.zeros_like(lift), pivot_y + lift, pivot_z], axis=-1)
    ankle = pivot + _apply(rolled, 0.0, body.ankle - pivot_y, -pivot_z)
    ball = pivot + _apply(rolled, 0.0, ball_height - pivot_y, body.foot - pivot_z)
    toe = ball + _apply(toes, 0.0, toe_height - ball_height, body.toe)
    heading = _rotation("y", yaw)
    place = np.stack([x, np.zeros_like(x), z], axis=-1)
    return {
        name: place + _apply(heading, *joint.T)
        for name, joint in {"ankle": ankle, "foot": ball, "toe": toe}.items()
    }


def _hip(body: _Body, side: str, pelvis, hips) -> np.ndarray:
    return pelvis + _apply(hips, _SIDES[side] * body.hip_width / 2, -body.hip_drop, 0.0)


def _too_high(body: _Body, pelvis, hips, feet) -> np.ndarray:
    """(T,) how far the pelvis must come down for both legs to reach their feet, smoothly."""
    excess = np.zeros(len(pelvis))
    for side, foot in feet.items():
        x, y, z = (_hip(body, side, pelvis, hips) - foot["ankle"]).T
        reach = np.sqrt(np.maximum((_STRAIGHT * body.leg) ** 2 - x * x - z * z, 0.0))
        excess = np.maximum(excess, y - reach)
    # The mean of running maxima over the same number of frames is nowhere less than the excess.
    width = 5
    for reduce in (np.max, np.mean):
        padded = np.pad(excess, width // 2, mode="edge")
        excess = reduce(np.lib.stride_tricks.sliding_window_view(padded, width), axis=-1)
    return excess


def _add_leg(joints, body: _Body, side: str, hips, foot, foot_yaw) -> None:
    hip = _hip(body, side, joints["pelvis"], hips)
    line = foot["ankle"] - hip
    length = np.linalg.norm(line, axis=-1, keepdims=True)
    line = line / length
    reached = np.clip(length, 0.3 * body.leg, _STRAIGHT * body.leg)
    correction = (reached - length) * line
    along = (body.thigh**2 - body.shank**2 + reached**2) / (2 * reached)
    across = np.sqrt(np.maximum(body.thigh**2 - along**2, 0.0))
    # The knee's hinge points to the left, between the pelvis' left and the foot's.
    hinge = hips[..., 0] + _rotation("y", foot_yaw)[..., 0]
    bend = np.cross(line, hinge)
    bend /= np.linalg.norm(bend, axis=-1, keepdims=True)
    joints[f"{side}_hip"] = hip
    joints[f"{side}_knee"] = hip + along * line + across * bend
    for name, joint in foot.items():
        joints[f"{side}_{name}"] = joint + correction


def _add_trunk(joints, body: _Body, hips, plan: _Plan) -> np.ndarray:
    """Adds spine, neck and head; returns the chest's orientation."""
    chest, position = hips, joints["pelvis"]
    link = (body.trunk - body.waist) / (len(_SPINE) - 1)
    for name, curve in zip(_SPINE, _SPINE_CURVE, strict=True):
        chest = chest @ _turn(plan.trunk / len(_SPINE) + (0.0, curve, 0.0))
        position = position + _apply(chest, 0.0, body.waist if name == "spine" else link, 0.0)
        joints[name] = position
    # The chest is upright where the spine's curve is zero in all.
    chest = chest @ _rotation("x", -sum(_SPINE_CURVE))
    neck = chest @ _turn(plan.head / 2 + (0.0, 12.0, 0.0))
    joints["head"] = joints["neck"] + _apply(neck, 0.0, body.neck, 0.0)
    head = neck @ _turn(plan.head / 2 + (0.0, -10.0, 0.0))
    joints["head_top"] = joints["head"] + _apply(head, 0.0, body.head, 0.0)
    return chest


def _add_arm(joints, body: _Body, side: str, chest, angles, wrist) -> None:
    sign = _SIDES[side]
    forward, aside, inward, elbow = angles.T
    # Directions are those of the chest set upright: arms hang down from a trunk that leans.
    facing = _rotation("y", np.degrees(np.arctan2(-chest[:, 2, 0], chest[:, 0, 0])))
    upper = facing @ _rotation("x", -forward) @ _rotation("z", sign * aside)
    upper = upper @ _rotation("y", -sign * inward)
    fore = upper @ _rotation("x", -np.clip(elbow, 4.0, 150.0))
    palm = fore @ _rotation("x", -wrist[:, 0]) @ _rotation("z", sign * wrist[:, 1])
    # The shoulder rises with the upper arm.
    raised = np.degrees(np.arccos(np.clip(-_apply(upper, 0.0, -1.0, 0.0)[:, 1], -1.0, 1.0)))
    girdle = chest @ _rotation("z", sign * 0.2 * np.maximum(raised - 30.0, 0.0))
    half = body.shoulder_width / 2
    clavicle = joints["neck"] + _apply(chest, sign * 0.25 * half, -0.2 * half, 0.1 * half)
    shoulder = clavicle + _apply(girdle, sign * 0.75 * half, -0.1 * half, -0.15 * half)
    joints[f"{side}_clavicle"], joints[f"{side}_shoulder"] = clavicle, shoulder
    bones = {"elbow": (upper, body.upper_arm), "wrist": (fore, body.forearm),
             "hand": (palm, body.hand)}
    position = shoulder
    for name, (rotation, length) in bones.items():
        position = position + _apply(rotation, 0.0, -length, 0.0)
        joints[f"{side}_{name}"] = position


# --- steps ----------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class _Path:
    """Where the body goes: x, z and yaw (N, 3) at the times ``grid``, beyond the clip's ends."""

    grid: np.ndarray
    way: np.ndarray

    @classmethod
    def make(cls, clock, velocity: Callable, yaw: Callable) -> "_Path":
        """From velocity(grid) -> (forward, to the left) and yaw(grid)."""
        grid = np.arange(clock.min() - 3.0, clock.max() + 3.0, 0.02)
        heading = yaw(grid)
        forward, left = (np.broadcast_to(v, grid.shape) for v in velocity(grid))
        sine, cosine = np.sin(np.radians(heading)), np.cos(np.radians(heading))
        x = np.cumsum(forward * sine + left * cosine) * 0.02
        z = np.cumsum(forward * cosine - left * sine) * 0.02
        return cls(grid, np.stack([x, z, heading], axis=-1))

    def at(self, time: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(time, self.grid, way) for way in self.way.T], axis=-1)


@dataclasses.dataclass(frozen=True)
class _Gait:
    """How feet step.

    Attributes:
      period: seconds of two steps.
      duty: share of the period that a foot is on the floor.
      width: between the feet, across.
      lift: of the swinging foot.
      push, strike: pitch of the foot, toes down as it leaves and toes up as it lands.
      toe_out: yaw of the feet.
      behind: of the ankle behind the pelvis at the middle of the stance.
    """

    period: float
    duty: float
    width: float
    lift: float
    push: float
    strike: float
    toe_out: float
    behind: float = 0.0

    def phase(self, clock) -> np.ndarray:
        """Radians, 0 in the middle of the left foot's stance, pi in the right one's."""
        return 2 * np.pi * (clock / self.period - self.duty / 2)

    def places(self, path: _Path, side: str, time) -> np.ndarray:
        """(T, 3) x, z and yaw of a foot whose stance has its middle at these times."""
        place = path.at(time)
        yaw = np.radians(place[:, 2])
        across, along = _SIDES[side] * self.width / 2, -self.behind
        place[:, 0] += across * np.cos(yaw) + along * np.sin(yaw)
        place[:, 1] += along * np.cos(yaw) - across * np.sin(yaw)
        place[:, 2] += _SIDES[side] * self.toe_out
        return place


def _step(plan: _Plan, path: _Path, gait: _Gait, clock) -> None:
    """Sends the body along the path, each foot standing still until it swings to its next place."""
    plan.ground = path.at(clock)
    for side, offset in (("left", 0.0), ("right", 0.5)):
        cycle = clock / gait.period + offset
        count = np.floor(cycle)
        middle = (count + gait.duty / 2 - offset) * gait.period
        before, here, there = (
            gait.places(path, side, middle + step * gait.period) for step in (-1, 0, 1)
        )
        arrived, leaving = _effort(here - before), _effort(there - here)
        stance = (cycle - count) / gait.duty
        swing = np.clip((cycle - count - gait.duty) / (1.0 - gait.duty), 0.0, 1.0)
        # A foot leaves the floor at speed, its heel being on the move already, and lands gently.
        part = _ease(swing) + 0.4 * swing * (1.0 - swing) ** 2
        place = here + (there - here) * part[:, None]
        push = leaving * gait.push * np.where(
            stance < 1.0, _ease((stance - 0.4) / 0.7), 1.0 - _ease((swing - 0.1) / 0.6)
        )
        strike = gait.strike * np.where(
            stance < 1.0, arrived * (1.0 - _ease(stance / 0.2)), leaving * _ease(2 * swing - 1.0)
        )
        lift = leaving * gait.lift * np.sin(np.pi * swing**0.7) ** 1.5
        plan.feet[side] = _soften(np.column_stack([place, push - strike, lift]))


def _soften(x: np.ndarray) -> np.ndarray:
    """Takes the jerk out of (T, C): feet that part from the floor, or meet it, in two frames."""
    padded = np.pad(x, ((1, 1), (0, 0)), mode="edge")
    return 0.25 * padded[:-2] + 0.5 * x + 0.25 * padded[2:]


def _effort(move: np.ndarray) -> np.ndarray:
    """(T,) 0 for a foot that stays, up to 1 for one that goes far or turns."""
    return np.clip(np.hypot(move[:, 0], move[:, 1]) / 250.0 + np.abs(move[:, 2]) / 40.0, 0.0, 1.0)


def _sway(rng, plan: _Plan, gait: _Gait, clock, strength, arm_swing: float, elbow: float) -> None:
    """What the rest of the body does as the feet step; strength, (T,) or a number, scales it."""
    phase = gait.phase(clock)
    side, fore = strength * np.cos(phase), strength * np.sin(phase)  # left stance; left leg behind
    yaw, roll, counter = rng.uniform(3.0, 8.0), rng.uniform(1.0, 4.0), rng.uniform(1.4, 2.0)
    plan.pelvis[:, 0] += rng.uniform(12.0, 30.0) * side
    plan.hips += np.column_stack([yaw * fore, 0 * fore, roll * side])
    plan.trunk += np.column_stack([-counter * yaw * fore, 0 * fore, -counter * roll * side])
    plan.head += np.column_stack([(counter - 1) * yaw * fore, 0 * fore, 0 * fore])
    for name, sign in _SIDES.items():
        swing = sign * rng.uniform(0.75, 1.25) * fore
        plan.arms[name][:, 0] += arm_swing * swing
        plan.arms[name][:, 3] += elbow * strength + 0.5 * arm_swing * swing


# --- activities: each changes a plan of quiet standing --------------------------------------------


def _rest(rng, body: _Body, time) -> _Plan:
    """Quiet standing with a little motion everywhere."""
    zeros = np.zeros((len(time), 3))
    width = rng.uniform(0.5, 1.1) * body.hip_width
    plan = _Plan(
        ground=zeros.copy(),
        pelvis=_noise(rng, time, (12.0, 2.0, 8.0)) - (0.0, rng.uniform(2.0, 15.0), 0.0),
        hips=_noise(rng, time, (2.0, 1.5, 1.0)),
        trunk=_noise(rng, time, (3.0, 2.0, 1.5)) + (0.0, rng.uniform(-4.0, 6.0), 0.0),
        head=_noise(rng, time, (12.0, 5.0, 3.0)) + (0.0, rng.uniform(-12.0, 5.0), 0.0),
        arms={}, wrists={}, feet={},
    )
    hang = rng.uniform((-8.0, 4.0, 0.0, 8.0), (10.0, 14.0, 35.0, 30.0))
    for side, sign in _SIDES.items():
        own = hang + rng.uniform(-3.0, 3.0, 4)
        plan.arms[side] = own + _noise(rng, time, (3.0, 2.0, 4.0, 5.0))
        plan.wrists[side] = rng.uniform((0.0, -8.0), (25.0, 8.0)) + _noise(rng, time, (6.0, 4.0))
        place = (sign * width / 2, rng.uniform(-40.0, 40.0), sign * rng.uniform(2.0, 18.0))
        plan.feet[side] = np.column_stack([zeros + place, zeros[:, :2]])
    plan.pelvis[:, 2] += 0.3 * body.foot
    return plan


def _stand(rng, body: _Body, clock, plan: _Plan) -> None:
    """Shifting one's weight, looking about, and talking with the hands."""
    shift = _poses(rng, clock, (-1.0,), (1.0,), rng.uniform(1.5, 3.0))[:, 0]
    plan.pelvis[:, 0] += 0.25 * body.hip_width * shift
    plan.hips[:, 2] += 4.0 * shift
    plan.trunk[:, 2] -= 5.0 * shift
    plan.head += _poses(rng, clock, (-35.0, -10.0, -6.0), (35.0, 15.0, 6.0), rng.uniform(1.0, 2.0))
    for side in _SIDES:
        _gesture(rng, clock, plan, side)


def _gesture(rng, clock, plan: _Plan, side: str) -> None:
    """An arm that talks, on and off."""
    talk, every = _poses(rng, clock, (0.0,), (1.0,), 2.0), rng.uniform(0.6, 1.2)
    low, high = (-5.0, 0.0, 0.0, 25.0), (55.0, 40.0, 60.0, 115.0)
    plan.arms[side] += talk * (_poses(rng, clock, low, high, every) - plan.arms[side])
    plan.wrists[side] += talk * _poses(rng, clock, (-30.0, -15.0), (30.0, 15.0), every)


def _walk(rng, body: _Body, clock, plan: _Plan) -> None:
    """Straight or in a curve; now and then from or to a halt."""
    speed = rng.uniform(0.7, 1.65) * np.sqrt(body.leg / 850.0)
    stride = 1.55 * body.leg * np.sqrt(speed / 1.3)
    gait = _Gait(
        period=stride / (1000.0 * speed), duty=rng.uniform(0.6, 0.65),
        width=rng.uniform(0.5, 0.9) * body.hip_width, lift=rng.uniform(40.0, 70.0),
        push=rng.uniform(60.0, 75.0), strike=rng.uniform(12.0, 25.0),
        toe_out=rng.uniform(2.0, 12.0), behind=rng.uniform(0.4, 0.7) * body.foot,
    )
    curve = rng.choice([0.0, 1.0]) * rng.uniform(-30.0, 30.0)
    begin, end = rng.choice([-9.0, 1.0], p=[0.7, 0.3]), clock.max()
    end += rng.choice([9.0, -1.5], p=[0.7, 0.3])

    def pace(time):
        return _ease((time - begin) / 1.0) * _ease((end - time) / 1.0)

    path = _Path.make(
        clock, lambda time: (1000.0 * speed * pace(time), 0.0),
        lambda time: curve * time + _noise(rng, time, 4.0),
    )
    strength = pace(clock) * speed / 1.3
    _step(plan, path, gait, clock)
    _sway(rng, plan, gait, clock, strength, rng.uniform(10.0, 32.0), rng.uniform(5.0, 25.0))
    plan.pelvis[:, 1] += strength * (rng.uniform(8.0, 18.0) * np.cos(2 * gait.phase(clock)) - 22.0)
    plan.trunk[:, 1] += strength * rng.uniform(0.0, 6.0)
    for side in _SIDES:
        if rng.uniform() < 0.2:
            _gesture(rng, clock, plan, side)


def _run(rng, body: _Body, clock, plan: _Plan) -> None:
    """Jogging to fast running, with a flight after each step."""
    speed = rng.uniform(2.0, 3.8) * np.sqrt(body.leg / 850.0)
    gait = _Gait(
        period=rng.uniform(0.66, 0.76), duty=0.46 - 0.035 * speed,
        width=rng.uniform(0.3, 0.6) * body.hip_width, lift=rng.uniform(50.0, 75.0) * speed,
        push=rng.uniform(65.0, 85.0), strike=rng.uniform(0.0, 12.0),
        toe_out=rng.uniform(0.0, 8.0), behind=rng.uniform(1.1, 1.6) * body.foot,
    )
    curve = rng.choice([0.0, 1.0]) * rng.uniform(-35.0, 35.0)
    path = _Path.make(
        clock, lambda time: (1000.0 * speed, 0.0),
        lambda time: curve * time + _noise(rng, time, 4.0),
    )
    _step(plan, path, gait, clock)
    _sway(rng, plan, gait, clock, 1.0, rng.uniform(25.0, 45.0), rng.uniform(55.0, 85.0))
    plan.pelvis[:, 1] -= 40.0 + rng.uniform(40.0, 55.0) * np.cos(2 * gait.phase(clock) - 0.3)
    plan.hips[:, 1] += rng.uniform(4.0, 9.0)
    plan.trunk[:, 1] += rng.uniform(2.0, 9.0)
    plan.head[:, 1] -= 6.0
    for arm in plan.arms.values():
        arm[:, 0] -= rng.uniform(5.0, 15.0)
        arm[:, 2] *= 0.7


def _reach(rng, body: _Body, clock, plan: _Plan) -> None:
    """For things in front, aside or above, with one arm or both, at times on tiptoe."""
    amount = _repeat(clock + rng.uniform(0.0, 2.0), rng.uniform(2.0, 3.5))
    used = [("left",), ("right",), ("left", "right")][rng.integers(3)]
    every = rng.uniform(2.0, 4.0)
    target = _poses(rng, clock, (50.0, -10.0, 0.0, 8.0), (165.0, 55.0, 20.0, 35.0), every)
    for side in used:
        aim = target + rng.uniform(-6.0, 6.0, 4)
        plan.arms[side] += amount[:, None] * (aim - plan.arms[side])
    sided = sum(_SIDES[side] for side in used)
    high = np.clip((target[:, 0] - 110.0) / 55.0, 0.0, 1.0)
    plan.trunk += np.column_stack([
        -12.0 * sided * amount, amount * (14.0 - 20.0 * high), -8.0 * sided * high * amount
    ])
    plan.head[:, 1] -= 30.0 * high * amount
    plan.pelvis[:, 2] += 30.0 * amount
    tiptoe = amount * high * rng.choice([0.0, 28.0])
    plan.pelvis[:, 1] += body.foot * np.sin(np.radians(tiptoe))
    plan.pelvis[:, 2] += 0.5 * body.foot * tiptoe / 28.0
    for foot in plan.feet.values():
        foot[:, 3] += tiptoe


def _wave(rng, body: _Body, clock, plan: _Plan) -> None:
    """With one hand or both."""
    up = _ease((clock - rng.uniform(-1.0, 0.8)) / 0.8)
    down = _ease((clock.max() - rng.uniform(-1.0, 0.5) - clock) / 0.8)
    amount = (up * down)[:, None]
    rate, reach = 2 * np.pi * rng.uniform(1.0, 2.0), rng.uniform(15.0, 35.0)
    for side in [("left",), ("right",), ("left", "right")][rng.integers(3)]:
        raised = rng.uniform((70.0, 45.0, -10.0, 65.0), (130.0, 80.0, 15.0, 100.0))
        aim = raised + _noise(rng, clock, (6.0, 5.0, 5.0, 5.0))
        beat = np.sin(rate * clock + rng.uniform(-0.5, 0.5))
        aim[:, 3] += reach * beat
        aim[:, 2] += 0.4 * reach * beat
        plan.arms[side] += amount * (aim - plan.arms[side])
        plan.wrists[side][:, 1] += amount[:, 0] * 15.0 * np.sin(rate * clock - 0.8)
        plan.trunk[:, 2] -= 3.0 * _SIDES[side] * amount[:, 0]


def _squat(rng, body: _Body, clock, plan: _Plan) -> None:
    """Knee bends with planted feet."""
    depth = _repeat(clock + rng.uniform(0.0, 2.0), rng.uniform(1.8, 3.2), rng.uniform(0.1, 0.4))
    depth = depth * np.clip(rng.uniform(0.45, 1.0) + _noise(rng, clock, 0.08), 0.3, 1.0)
    width = rng.uniform(0.9, 1.7) * body.hip_width
    for side, sign in _SIDES.items():
        plan.feet[side][:, 0] = sign * width / 2
        plan.feet[side][:, 2] = sign * rng.uniform(8.0, 25.0)
    _crouch(body, plan, 0.55 * depth)
    aim = rng.uniform((0.0, 0.0, 0.0, 10.0), (95.0, 15.0, 30.0, 60.0))
    for arm in plan.arms.values():
        arm += depth[:, None] * (aim - arm)


def _crouch(body: _Body, plan: _Plan, depth) -> None:
    """Brings the pelvis down by a share of the leg and back, the trunk forward over the feet."""
    plan.pelvis[:, 1] -= depth * body.leg
    plan.pelvis[:, 2] -= 0.3 * depth * body.leg
    plan.hips[:, 1] += 45.0 * depth
    plan.trunk[:, 1] += 35.0 * depth
    plan.head[:, 1] -= 45.0 * depth


def _pick_up(rng, body: _Body, clock, plan: _Plan) -> None:
    """Bending down to the floor for something."""
    amount = _repeat(clock + rng.uniform(0.0, 2.0), rng.uniform(2.6, 4.0))
    knees = rng.uniform(0.1, 0.5)
    _crouch(body, plan, knees * amount)
    stoop = amount * rng.uniform(0.8, 1.1)
    plan.hips[:, 1] += (65.0 - 60.0 * knees) * stoop
    plan.trunk[:, 1] += (45.0 - 30.0 * knees) * stoop
    plan.pelvis[:, 2] -= 110.0 * stoop
    plan.head[:, 1] -= 15.0 * stoop
    used = [("left",), ("right",), ("left", "right")][rng.integers(3)]
    plan.trunk[:, 0] -= 12.0 * sum(_SIDES[side] for side in used) * stoop
    for side, arm in plan.arms.items():
        low, high = (10.0, 0.0, 0.0, 5.0), (35.0, 10.0, 20.0, 15.0)
        if side not in used:
            low, high = (0.0, 5.0, 20.0, 30.0), (25.0, 15.0, 45.0, 75.0)
        arm += amount[:, None] * (rng.uniform(low, high) - arm)


def _sit(rng, body: _Body, clock, plan: _Plan) -> None:
    """Down on a chair, for a while, and mostly up again."""
    begin, stay = rng.uniform(0.2, 1.2), rng.uniform(1.2, 2.5)
    down, up = rng.uniform(1.0, 1.6), rng.uniform(0.9, 1.4)
    sitting = _ease((clock - begin) / down) - _ease((clock - begin - down - stay) / up)
    between = 4.0 * sitting * (1.0 - sitting)
    seat = rng.uniform(0.9, 1.05) * body.thigh
    plan.pelvis[:, 1] -= seat * sitting
    plan.pelvis[:, 2] -= 0.9 * body.thigh * sitting**0.8
    plan.hips[:, 1] += 25.0 * between - rng.uniform(0.0, 12.0) * sitting
    plan.trunk[:, 1] += 22.0 * between + rng.uniform(0.0, 15.0) * sitting
    plan.head[:, 1] -= 18.0 * between
    lap = rng.uniform((5.0, 5.0, 10.0, 30.0), (30.0, 15.0, 40.0, 60.0))
    for arm in plan.arms.values():
        arm += sitting[:, None] * (lap - arm)
        arm[:, 0] += rng.uniform(5.0, 20.0) * between
    _gesture(rng, clock, plan, rng.choice(list(_SIDES)))


def _turn_round(rng, body: _Body, clock, plan: _Plan) -> None:
    """On the spot, with small steps, to one side and often on to another."""
    gait = _Gait(
        period=rng.uniform(0.9, 1.2), duty=0.6, width=rng.uniform(0.7, 1.1) * body.hip_width,
        lift=rng.uniform(40.0, 80.0), push=rng.uniform(15.0, 35.0), strike=0.0,
        toe_out=rng.uniform(5.0, 12.0), behind=0.3 * body.foot,
    )
    first, second = rng.choice([-1.0, 1.0], 2) * rng.uniform(80.0, 360.0, 2)
    rate, wait = rng.uniform(70.0, 120.0), rng.uniform(0.3, 0.8)
    pause = wait + abs(first) / rate + rng.uniform(0.2, 0.8)

    def yaw(time):
        turned = first * _ease((time - wait) * rate / abs(first))
        return turned + second * _ease((time - pause) * rate / abs(second))

    path = _Path.make(clock, lambda time: (0.0, 0.0), yaw)
    _step(plan, path, gait, clock)
    ahead = path.at(clock + 0.25)[:, 2] - plan.ground[:, 2]
    _sway(rng, plan, gait, clock, np.clip(np.abs(ahead) / 20.0, 0.0, 1.0), 6.0, 5.0)
    plan.trunk[:, 0] += 0.4 * ahead
    plan.head[:, 0] += 0.9 * ahead
    plan.pelvis[:, 1] -= 8.0


def _side_step(rng, body: _Body, clock, plan: _Plan) -> None:
    """To one side and back, feet not crossing."""
    speed, period = rng.uniform(350.0, 700.0), rng.uniform(0.7, 0.95)
    gait = _Gait(
        period=period, duty=rng.uniform(0.55, 0.62), width=speed * period / 2 + 120.0,
        lift=rng.uniform(25.0, 60.0), push=rng.uniform(15.0, 30.0), strike=0.0,
        toe_out=rng.uniform(2.0, 12.0), behind=0.3 * body.foot,
    )
    every, start = rng.uniform(3.0, 6.0), rng.uniform(0.0, 6.0)
    first = rng.choice([-1.0, 1.0])

    def velocity(time):
        return 0.0, first * speed * np.clip(3.0 * np.sin(np.pi * (time + start) / every), -1, 1)

    path = _Path.make(clock, velocity, lambda time: _noise(rng, time, 6.0))
    _step(plan, path, gait, clock)
    crouch = rng.uniform(0.0, 0.06)
    _crouch(body, plan, np.full(len(clock), crouch))
    plan.pelvis[:, 1] += rng.uniform(5.0, 15.0) * np.cos(2 * gait.phase(clock))
    spread = rng.uniform((0.0, 5.0, 0.0, 10.0), (30.0, 35.0, 30.0, 80.0))
    for arm in plan.arms.values():
        arm += 0.8 * (spread - arm)
        arm[:, 1] += rng.uniform(0.0, 8.0) * np.sin(2 * gait.phase(clock))


def _jumping_jack(rng, body: _Body, clock, plan: _Plan) -> None:
    """Feet and arms apart and together again, with a hop each time."""
    half, duty = rng.uniform(0.42, 0.58), rng.uniform(0.4, 0.5)
    cycle = clock / half + rng.uniform(0.0, 2.0)
    count = np.floor(cycle)
    swing = np.clip((cycle - count - duty) / (1.0 - duty), 0.0, 1.0)
    share = _ease(swing)
    apart = np.where(count % 2 == 0, share, 1.0 - share)
    hop = np.sin(np.pi * swing) ** 2
    narrow, wide = 0.6 * body.hip_width, rng.uniform(0.75, 1.0) * body.leg
    for side, sign in _SIDES.items():
        foot = plan.feet[side]
        foot[:, 0] = sign * (narrow + (wide - narrow) * apart) / 2
        foot[:, 2] = sign * (4.0 + 14.0 * apart)
        foot[:, 3] = 35.0 * hop
        foot[:, 4] = rng.uniform(40.0, 70.0) * hop
    landing = np.cos(2 * np.pi * (cycle - duty / 2))
    plan.pelvis[:, 1] -= 45.0 + 40.0 * landing
    # Arms are a touch early: they lift the body.
    lead = 0.5 - 0.5 * np.cos(np.pi * (cycle - duty / 2 - 0.4))
    low, high = (0.0, 8.0, 5.0, 12.0), (8.0, rng.uniform(135.0, 165.0), 0.0, 25.0)
    for arm in plan.arms.values():
        arm *= 0.5
        arm += np.outer(1.0 - lead, low) + np.outer(lead, high)


def _box(rng, body: _Body, clock, plan: _Plan) -> None:
    """Punches from a guard, one foot in front."""
    front = rng.choice(["left", "right"])
    every, narrow = rng.uniform(0.5, 0.9), rng.uniform(0.9, 1.3) * body.hip_width
    for side, sign in _SIDES.items():
        foot = plan.feet[side]
        foot[:, 0] = sign * narrow / 2
        foot[:, 1] += 160.0 if side == front else -160.0
        foot[:, 2] = 10.0 * sign if side == front else 35.0 * sign
    _crouch(body, plan, 0.08 + _noise(rng, clock, 0.02, period=0.8))
    plan.hips[:, 0] -= 20.0 * _SIDES[front]
    plan.trunk[:, 0] -= 10.0 * _SIDES[front]
    plan.head[:, 0] += 25.0 * _SIDES[front]
    beat = clock / every
    count = np.floor(beat).astype(int)
    fists = rng.choice(list(_SIDES), count.max() - count.min() + 1)[count - count.min()]
    punch = np.sin(np.pi * np.clip((beat - count) * 1.3, 0.0, 1.0)) ** 2
    guard = rng.uniform((25.0, 5.0, 15.0, 115.0), (50.0, 20.0, 35.0, 135.0))
    hit = rng.uniform((75.0, -10.0, 0.0, 8.0), (95.0, 10.0, 15.0, 25.0))
    for side, sign in _SIDES.items():
        out = punch * (fists == side)
        plan.arms[side] = guard + 0.5 * _noise(rng, clock, (10.0, 6.0, 8.0, 12.0), period=1.2)
        plan.arms[side] += out[:, None] * (hit - plan.arms[side])
        plan.trunk[:, 0] -= 22.0 * sign * out
        plan.hips[:, 0] -= 8.0 * sign * out
        plan.pelvis[:, 2] += 25.0 * out


_ACTIVITIES: dict[str, tuple[Callable, int]] = {
    "standing": (_stand, 5),
    "walking": (_walk, 10),
    "running": (_run, 7),
    "reaching": (_reach, 6),
    "waving": (_wave, 5),
    "squatting": (_squat, 4),
    "picking something up": (_pick_up, 4),
    "sitting down": (_sit, 5),
    "turning on the spot": (_turn_round, 4),
    "side stepping": (_side_step, 4),
    "jumping jacks": (_jumping_jack, 3),
    "boxing": (_box, 4),
}
"""What is done, and in how many training clips."""

_SPLITS = {"train": (20190, 20), "validation": (20191, 4)}
"""Seed and number of subjects."""
