"""Training mixers: a few steps of each kind, and the simulated errors of refined joints."""

import jax
import numpy as np
import pytest

from posegan_jax.model.corrector import FRAMES, Mixer, correcting, init_mixer
from posegan_jax.model.store import save_params
from posegan_jax.training import mixer
from posegan_jax.training.mixer import refined, train


@pytest.fixture(scope="module", params=[[], ["--weights", "packaged"]], ids=["plain", "correcting"])
def trained(request, tmp_path_factory):
    """More arguments, the command's file after a few steps, what it trained, and the losses."""
    path = tmp_path_factory.mktemp("mixer") / "m.npz"
    made = []

    def small_train(*args):
        *args, start, corrected = args
        start = start or Mixer(init_mixer(jax.random.key(0), 32, 1))
        made.append(train(*args, start, corrected))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mixer, "train", small_train)
        code = mixer.main(
            ["--steps", "60", "--batch-size", "8", "--text", "made up", "-o", str(path),
             *request.param]
        )
    assert code == 0
    return request.param, path, *made[0]


def test_it_learns(trained):
    more, path, found, losses = trained
    assert len(losses) == 3
    assert losses[-1] < (0.95 if more else 0.8) * losses[0]
    read = Mixer.load(path)
    assert read.text == "made up" and read.corrects == found.corrects == bool(more)
    assert np.abs(found.params["out"]["kernel"]).max() > 0


def test_it_goes_on_from_what_was_saved(trained, tmp_path, capsys):
    more, path, _, losses = trained
    code = mixer.main(
        ["--steps", "20", "--batch-size", "8", "--init-from", str(path), *more,
         "-o", str(tmp_path / "more.npz")]
    )
    assert code == 0
    assert float(capsys.readouterr().out.split()[1]) < 0.98 * losses[0]


def test_refined_joints_are_off_by_as_much_as_is_said():
    rng = np.random.default_rng(0)
    pose = rng.normal(size=(1, 1, 28, 2)).astype(np.float32)
    x = np.broadcast_to(pose, (2000, FRAMES, 28, 2))
    there, sure = map(np.asarray, refined(jax.random.key(0), x))
    size = np.sqrt(((pose - pose.mean(2)) ** 2).sum(-1).mean())
    off = (there - x) / size
    exact = (off == 0).all(axis=(1, 2, 3))
    assert 0.45 < exact.mean() < 0.55
    assert (sure[exact] == 1).all() and (sure[~exact] < 1).all()
    said = 0.05 * np.sqrt(1 / sure - 1)
    for low, high in ((0.01, 0.03), (0.03, 0.1), (0.1, 0.2)):
        there = (said > low) & (said < high)
        ratio = off[there] / said[there][:, None]
        assert ratio.std() == pytest.approx(1, rel=0.05)
    # Smooth paths: from frame to frame they go much less far than they are off.
    path = off[~exact]
    assert np.diff(path, axis=1).std() < 0.5 * path.std()


def test_mistakes_of_the_command(tmp_path, capsys):
    path = tmp_path / "r.npz"
    assert mixer.main(["--steps", "30", "-o", str(path)]) == 2
    assert mixer.main(["--motion", "nowhere", "--steps", "20", "-o", str(path)]) == 2
    assert mixer.main(["--weights", "none", "--steps", "20", "-o", str(path)]) == 2
    said = capsys.readouterr().err
    assert "multiple of 20" in said and "nowhere" in said and "none" in said
    foreign = tmp_path / "foreign"
    save_params(foreign, {"w": np.zeros(3)}, {"made by": "another program"})
    assert mixer.main(["--weights", str(foreign), "-o", str(path)]) == 2
    assert "foreign: holds no networks" in capsys.readouterr().err
    corrector = tmp_path / "c.npz"
    Mixer(correcting(init_mixer(jax.random.key(0), 8, 1))).save(corrector)
    assert mixer.main(["--init-from", str(corrector), "-o", str(path)]) == 2
    assert mixer.main(["--batch-size", "0", "-o", str(path)]) == 2
    assert mixer.main(["-o", str(tmp_path / "no" / "r.npz")]) == 2
    said = capsys.readouterr().err
    assert "give their --weights" in said and "--batch-size" in said and "no/r.npz" in said
    assert not path.exists()
