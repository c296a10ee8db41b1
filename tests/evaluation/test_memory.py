"""What is kept of a benchmark, and when it is taken again."""

import types

import numpy as np
import pytest

from posegan_jax.errors import InputError
from posegan_jax.evaluation.memory import PARTS, Memory, digest, finish, told_apart
from posegan_jax.pose.skeleton import get_skeleton


def inpainter(weight, frames=24):
    """What tells a model apart."""
    return types.SimpleNamespace(
        variables={"encoder": {"kernel": np.full(3, weight)}}, metadata={"trained_on": "people"},
        skeleton=get_skeleton("mpi_inf_3dhp"),
        model=types.SimpleNamespace(
            detected=("left_hip", "right_hip"), options=types.SimpleNamespace(frames=frames)
        ),
    )


def memory(folder, weight=1.0, frames=24, place=0.0):
    setup = {"seed": 1} | told_apart(inpainter(weight, frames), [np.full((2, 28, 2), place)])
    return Memory(folder, setup, ("linear",))


def test_what_is_kept_is_taken_again_by_the_same_setup(tmp_path):
    for method in ("linear", "fast"):
        assert memory(tmp_path).load("legs", method) is None
        memory(tmp_path).save("legs", method, {"error": [0.5, None]})
        assert memory(tmp_path).load("legs", method) == {"error": [0.5, None]}
        assert memory(tmp_path).load("arm", method) is None
        for changes in ({"frames": 48}, {"place": 1.0}):
            assert memory(tmp_path, **changes).load("legs", method) is None
    finish(tmp_path)
    assert memory(tmp_path).load("legs", "fast") is None


def test_other_weights_of_ours_change_nothing_of_baselines(tmp_path):
    for method in ("linear", "fast"):
        memory(tmp_path).save("legs", method, [1.0])
    assert memory(tmp_path, weight=2.0).load("legs", "linear") == [1.0]
    assert memory(tmp_path, weight=2.0).load("legs", "fast") is None


def test_without_a_folder_nothing_is_kept(tmp_path):
    nothing = memory(None)
    nothing.save("legs", "fast", [1.0])
    assert nothing.load("legs", "fast") is None and nothing.networks is None
    assert memory(tmp_path).networks == tmp_path / PARTS / "networks"
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        memory(tmp_path / "file")


def test_other_arrays_have_other_digests():
    some = [np.arange(6.0).reshape(2, 3), np.zeros(2)]
    assert digest(some) == digest(np.asfortranarray(a) for a in some)
    assert len({digest(some), digest(some[:1]), digest(some[::-1])}) == 3
