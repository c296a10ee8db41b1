"""The learned regressor: a few steps of it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from posegan_jax.errors import InputError
from posegan_jax.evaluation import regressor
from posegan_jax.evaluation.clips import view_clips
from posegan_jax.evaluation.protocols import make_case
from posegan_jax.evaluation.regressor import FRAMES, Regressor, fill_linearly, make_mixer, train
from posegan_jax.evaluation.temporal import interpolate
from posegan_jax.pose.skeleton import get_skeleton

MPI = get_skeleton("mpi_inf_3dhp")


def small():
    module = make_mixer(32, 1)
    shape = (1, FRAMES, module.joints)
    return Regressor(
        module, module.init(jax.random.key(0), jnp.zeros((*shape, 2)), jnp.ones(shape))["params"]
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The command's file after a few steps, what it trained, and the losses."""
    path = tmp_path_factory.mktemp("regressor") / "r.npz"
    made = []

    def small_train(store, steps, options, start, **more):
        made.append(train(store, steps, options, start=start or small(), **more))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(regressor, "train", small_train)
        code = regressor.main(
            ["--steps", "60", "--batch-size", "16", "--text", "made up", "-o", str(path)]
        )
    assert code == 0
    return path, *made[0]


def test_it_goes_on_from_what_was_saved(trained, tmp_path, capsys):
    path, found, losses = trained
    more = tmp_path / "more.npz"
    code = regressor.main(
        ["--steps", "20", "--batch-size", "16", "--init-from", str(path), "-o", str(more)]
    )
    assert code == 0 and Regressor.load(more).module == found.module
    first = float(capsys.readouterr().out.split()[1])
    assert first < 0.9 * losses[0]


@pytest.fixture(scope="module")
def case():
    view = view_clips("procedural", count=1, longest=60)[0]
    return make_case("holes40", view.keypoints, MPI, 0, 0)


def test_holes_are_filled_as_the_baseline_over_time_does():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 12, 5, 2)).astype(np.float32)
    mask = rng.random((3, 12, 5)) < 0.4
    mask[0, :, 1] = False
    filled = np.asarray(fill_linearly(np.where(mask[..., None], x, 0.0), mask.astype(np.float32)))
    for window, seen, result in zip(x, mask, filled, strict=True):
        expected = np.nan_to_num(interpolate(np.where(seen[..., None], window, np.nan)))
        np.testing.assert_allclose(result, expected, atol=1e-5)


def test_untrained_it_interpolates():
    module = make_mixer(16, 1)
    apply = jax.jit(module.apply)
    x = jax.random.normal(jax.random.key(0), (2, FRAMES, 28, 2))
    mask = np.ones((2, FRAMES, 28), np.float32)
    mask[:, 5:9] = 0
    x = x * mask[..., None]
    params = jax.jit(module.init)(jax.random.key(1), x, mask)
    np.testing.assert_allclose(apply(params, x, mask), fill_linearly(x, mask), atol=1e-6)


def test_it_learns(trained, case):
    _, found, losses = trained
    assert len(losses) == 3
    assert losses[-1] < 0.8 * losses[0]
    error = np.abs(found(case.sequence) - case.truth)[:, ~case.detected].mean()
    params = jax.tree.map(np.zeros_like, found.params)
    blank = dataclasses.replace(found, params=params)
    assert error < 0.7 * np.abs(blank(case.sequence) - case.truth)[:, ~case.detected].mean()


def test_it_completes_tracks_of_any_length_and_place(trained, case):
    _, found, _ = trained
    for length in (1, 10, 24, 31, 60):
        sequence = case.sequence.replace(
            **{n: getattr(case.sequence, n)[:length]
               for n in ("keypoints", "scores", "frames", "provenance")}
        )
        result = found(sequence)
        assert result.shape == (length, 28, 2) and np.isfinite(result).all()
    moved = case.sequence.replace(keypoints=2 * case.sequence.keypoints + 500)
    np.testing.assert_allclose(found(moved), 2 * found(case.sequence) + 500, atol=0.5)
    empty = case.sequence.replace(keypoints=np.full((60, 28, 2), np.nan), scores=None)
    assert np.isnan(found(empty)).all()


def test_it_is_saved_in_half_precision(trained, case):
    path, found, _ = trained
    read = Regressor.load(path)
    assert read.text == "made up" and read.module == found.module
    size = np.ptp(case.truth)
    np.testing.assert_allclose(read(case.sequence), found(case.sequence), atol=0.01 * size)


@pytest.mark.parametrize("content", [b"", b"PK nothing", None])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "r.npz"
    if content is None:
        np.savez(path, a=np.zeros(3))
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match="r.npz: not the weights"):
        Regressor.load(path)


def test_mistakes_of_the_command(tmp_path, capsys):
    path = tmp_path / "r.npz"
    assert regressor.main(["--steps", "30", "-o", str(path)]) == 2
    assert regressor.main(["--motion", "nowhere", "--steps", "20", "-o", str(path)]) == 2
    said = capsys.readouterr().err
    assert "multiple of 20" in said and "nowhere" in said and not path.exists()
