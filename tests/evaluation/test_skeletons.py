"""Models of other skeletons and other windows than the thesis's are evaluated, too."""

import dataclasses

import numpy as np
import pytest

from posegan_jax.errors import InputError
from posegan_jax.evaluation import certainty, contenders, material, tables
from posegan_jax.evaluation.baselines import fit_baselines
from posegan_jax.evaluation.benchmark import resolve, run_benchmark
from posegan_jax.evaluation.clips import view_clips, view_windows
from posegan_jax.evaluation.noise import ErrorKind, detect
from posegan_jax.evaluation.plausibility import plausibility
from posegan_jax.evaluation.protocols import PROTOCOLS, make_case
from posegan_jax.evaluation.scores import GROUPS_12, PARTS, score
from posegan_jax.evaluation.settings import EvaluateOptions
from posegan_jax.evaluation.tune import Clips, tune_certainty, tune_shares
from posegan_jax.geometry.body import pose_size
from posegan_jax.inpainting.inpainter import Inpainter
from posegan_jax.model.model import Model, misfit
from posegan_jax.model.options import NetworkOptions
from posegan_jax.pose.skeleton import DETECTED_12, get_skeleton

COCO, TWELVE = get_skeleton("coco17"), get_skeleton("alphapose12")
FRAMES = 16


@pytest.fixture(scope="module")
def motion(tmp_path_factory, write_motion):
    """A file of COCO's joints and two more, in another order."""
    joints = ("left_heel", "right_heel", *COCO.joints[::-1])
    return str(write_motion(tmp_path_factory.mktemp("motion") / "coco.npz", joints, count=4))


@pytest.fixture(scope="module")
def model(untrained):
    """Of COCO's joints and shorter windows; it has learned nothing."""
    options = NetworkOptions(skeleton="coco17", frames=FRAMES, latent=8)
    return Inpainter(Model(options, untrained(options)), batch=4)


@pytest.fixture(scope="module")
def views(motion):
    return view_clips(motion, longest=60, skeleton=COCO)


def test_views_know_their_skeleton(motion, views):
    assert {view.skeleton for view in views} == {COCO}
    assert {view.keypoints.shape[1:] for view in views} == {(17, 2)}
    assert {view.spans.shape[1] for view in views} == {len(COCO.bones())}
    (window, *_) = view_windows(motion, count=3, frames=FRAMES, skeleton=TWELVE)
    assert window.keypoints.shape == (FRAMES, 12, 2) and window.skeleton == TWELVE
    with pytest.raises(InputError, match="coco.npz: lacks .*joints of the skeleton mpi_inf_3dhp"):
        view_clips(motion)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_protocol(views, protocol):
    for number, view in enumerate(views):
        for frames in (FRAMES, len(view.keypoints)):
            truth = view.keypoints[:frames]
            case = make_case(protocol, truth, COCO, 0, number)
            np.testing.assert_array_equal(case.detected, COCO.mask(DETECTED_12))
            assert not case.observed[:, ~case.detected].any()
            assert case.observed[[0, -1]].any()  # a gap touches neither end


def test_heads_without_a_top_are_half_of_the_body(views):
    cases = [make_case("holes40", view.keypoints, COCO, 0, i) for i, view in enumerate(views)]
    results = []
    for case in cases:
        results.append(case.truth.copy())
        results[-1][..., 0] += 0.3 * 0.5 * pose_size(case.truth)[:, None]
    found = score(cases, results)
    for name in ("Total-12J", "Total-17J", *PARTS, "Ankles"):
        assert found.values[name]["pckh@0.5"] == pytest.approx(1.0, abs=1e-6)
        assert name == "Ankles" or found.values[name]["error"] == pytest.approx(0.3, abs=1e-3)
    assert list(found.curves) == ["Total-12J", "Total-17J"]
    # Columns of the thesis's tables that have no joint here.
    assert set(found.values["Toes"].values()) == {None} == set(found.values["Spine"].values())
    assert not set(GROUPS_12) - {n for n, v in found.values.items() if v["auc"] is not None}
    measures = plausibility(cases, [case.truth for case in cases])
    assert measures["length"] == 0 and measures["acceleration"] > 0


def test_a_skeleton_of_detected_joints_alone(motion):
    views = view_clips(motion, longest=50, skeleton=TWELVE)
    cases = [make_case("legs", view.keypoints, TWELVE, 0, i) for i, view in enumerate(views)]
    found = score(cases, [case.truth for case in cases])
    assert list(found.curves) == ["Total-12J"]
    assert found.values["Total-12J"]["auc"] == pytest.approx(1.0)
    assert found.values["upsampled"]["auc"] is None
    assert found.plausibility["skating"] is not None  # of the ankles


def test_a_person_without_legs_has_no_feet_and_may_have_no_limbs(views):
    bust = get_skeleton("joints:nose,left_ear,right_ear,left_shoulder,right_shoulder")
    at = [COCO.index(joint) for joint in bust.joints]
    case = make_case("clean", views[0].keypoints[:, at], bust, 0, 0)
    measures = plausibility([case], [case.truth])
    assert measures["skating"] is None and measures["length"] is None
    assert measures["bones"] is not None


def test_detectors_of_other_joints(views):
    truth = views[0].keypoints
    arms = ("right_elbow", "left_wrist", "left_elbow")  # in any order, one without its mirror image
    found = detect(np.tile(truth, (40, 1, 1)), COCO, np.random.default_rng(0), arms)
    assert (np.isfinite(found.keypoints[..., 0]).all(axis=0) == COCO.mask(arms)).all()
    inverted = (found.kinds == ErrorKind.INVERSION).any(axis=0)
    assert inverted[COCO.index("left_elbow")] and not inverted[COCO.index("left_wrist")]
    case = make_case("clean", truth, COCO, 0, 0, detected=COCO.joints)
    assert case.observed.all() and not case.groups()["upsampled"].any()
    with pytest.raises(InputError, match="not known of nose, left_eye"):
        make_case("noise", truth, COCO, 0, 0, detected=COCO.joints)
    with pytest.raises(InputError, match="no joint 'neck'"):
        detect(truth, COCO, np.random.default_rng(0), ("neck",))


def test_baselines_look_at_what_is_detected(motion):
    train = view_windows(motion, "train", 60, FRAMES, skeleton=COCO)
    detected = (*DETECTED_12, "nose")
    case = make_case("holes20", train[0].keypoints, COCO, 0, 0, detected=detected)
    for name, method in fit_baselines(train, detected).items():
        assert np.isfinite(method(case.sequence)).all(), name


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["clips", "windows"])
def test_the_benchmark_from_end_to_end(model, motion, unit, tmp_path, monkeypatch, unoptimized):
    monkeypatch.setattr(contenders, "TRAIN_WINDOWS", 60)
    monkeypatch.setattr(material, "REAL_WINDOWS", 20)
    options = EvaluateOptions(
        motion=motion, protocols=("gap20", "noise"), unit=unit, count=2, longest=48,
        methods=("input", "kalman", "ridge-windows", "s16"),
    )
    result = run_benchmark(model, options)
    assert result.setup["head"] == "" and result.setup["frames"] == (96 if unit == "clips" else 32)
    values = {method: scores.values for method, scores in result.of("noise").items()}
    assert values["C-s16"]["upsampled"]["error"] > 0 and values["kalman"]["observed"]["error"] < 2
    assert "head size half of the body's" in tables.markdown(result)
    names = {path.name for path in tables.save(result, tmp_path)}
    assert {"noise-12J.png", "noise-17J.png"} <= names
    with pytest.raises(InputError, match="without a regressor for the model's windows"):
        run_benchmark(model, EvaluateOptions(motion=motion, methods=("regressor",), count=1))


def test_windows_are_not_shifted_by_more_than_they_hold():
    assert resolve(EvaluateOptions(methods=("s30",)), frames=48)[1] == ["s30"]
    with pytest.raises(InputError, match="s30"):
        resolve(EvaluateOptions(methods=("s30",)))


def test_shares_without_corrector_and_regression(model, motion, unoptimized):
    clips = Clips(motion, count=1, frames=60, quality="fast")
    fits = tune_shares(model, clips, model.model.constants)
    assert list(fits) == ["uncorrected"]
    (fit,) = fits.values()
    bridge = fit.constants.bridge
    assert fit.constants == dataclasses.replace(model.model.constants, bridge=bridge)
    assert fit.after <= fit.before


def test_certainty_of_another_skeleton(model, motion, unoptimized, monkeypatch):
    monkeypatch.setattr(certainty, "STEPS", 5)
    clips = Clips(motion, count=1, frames=48, quality="fast")
    params = tune_certainty(model, clips, 2)
    assert misfit(model.model.replace(certainty=params), partial=True) is None
    assert params["kind"].shape[0] == len({min(p) for p in enumerate(COCO.mirror)})

