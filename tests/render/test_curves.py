"""Plots: what they hold, and that odd data do not break them."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from posegan_jax.errors import InputError
from posegan_jax.render.curves import save_curves, save_pckh, save_pckh_differences


@pytest.fixture
def figures(monkeypatch):
    """The figures that are saved, which are saved all the same."""
    saved, save = [], Figure.savefig

    def savefig(figure, *args, **options):
        saved.append(figure)
        save(figure, *args, **options)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return saved


def test_one_axis_per_metric_with_its_values(tmp_path, figures):
    rows = [{"step": 10 * i, "loss": i - 2.0, "mpjpe": 50.0 / (i + 1) ** 2} for i in range(5)]
    rows[1]["mpjpe"] = None
    rows[3]["validation/mpjpe"] = 7.0
    names = ["loss", "mpjpe", "validation/mpjpe", "absent"]
    save_curves(rows, tmp_path / "a.png", names)
    assert Image.open(tmp_path / "a.png").format == "PNG"
    axes = figures[0].axes[:4]
    assert [a.get_title() for a in axes] == names
    assert [a.get_yscale() for a in axes] == ["linear", "log", "linear", "linear"]
    steps, values = axes[0].lines[0].get_data()
    np.testing.assert_array_equal(steps, [0, 10, 20, 30, 40])
    np.testing.assert_array_equal(values, [-2, -1, 0, 1, 2])
    assert np.isnan(axes[1].lines[0].get_ydata()[1])
    assert axes[2].lines[0].get_xdata().tolist() == [30]
    assert axes[2].lines[0].get_marker() == "o"  # a lone point has no line
    assert not axes[3].lines and axes[3].texts[0].get_text() == "no values"


def test_metrics_that_are_never_finite_or_never_written(tmp_path):
    rows = [{"step": 1, "loss": float("nan")}, {"step": 2, "loss": float("inf")}]
    save_curves(rows, tmp_path / "a.png", ["loss"])
    save_curves([], tmp_path / "b.png", ["loss"])
    assert len(list(tmp_path.iterdir())) == 2


def test_pckh_curves_are_in_percent_with_a_legend(tmp_path, figures):
    alphas = np.linspace(0, 1, 11)
    save_pckh(
        {"model": (alphas, alphas), "detector": (alphas[:3], alphas[:3] / 2)}, tmp_path / "a.png"
    )
    assert Image.open(tmp_path / "a.png").format == "PNG"
    (axis,) = figures[0].axes
    np.testing.assert_allclose(axis.lines[0].get_ydata(), 100 * alphas)
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert labels == ["model (50.0 % at 0.5)", "detector"]


def test_differences_stand_beside_the_curves(tmp_path, figures):
    alphas = np.linspace(0, 1, 11)
    curves = {"input": (alphas, alphas / 2), "ours": (alphas, alphas), "same": (alphas, alphas / 2)}
    save_pckh_differences(curves, "input", tmp_path / "a.png")
    left, right = figures[0].axes
    assert len(left.lines) == 3 and left.get_legend() is not None
    np.testing.assert_allclose(right.lines[0].get_ydata(), 50 * alphas)
    np.testing.assert_allclose(right.lines[1].get_ydata(), 0 * alphas)
    assert right.lines[0].get_color() == left.lines[1].get_color()
    assert "input" in right.get_ylabel()
    with pytest.raises(InputError, match="detector"):
        save_pckh_differences(curves, "detector", tmp_path / "b.png")
    with pytest.raises(InputError, match="other thresholds"):
        save_pckh_differences(curves | {"few": (alphas[:3], alphas[:3])}, "input",
                              tmp_path / "b.png")


def test_many_curves_have_their_legend_beside_them(tmp_path, figures):
    alphas = np.linspace(0, 1, 11)
    save_pckh({f"method {i}": (alphas, alphas * i / 12) for i in range(12)}, tmp_path / "a.png")
    (axis,) = figures[0].axes
    assert axis.get_legend() is None and len(figures[0].legends[0].get_texts()) == 12
    looks = {(line.get_color(), line.get_linestyle()) for line in axis.lines}
    assert len(looks) == 12


def test_bad_requests_are_refused(tmp_path):
    with pytest.raises(InputError, match="at least one"):
        save_curves([], tmp_path / "a.png", [])
    with pytest.raises(InputError, match="no PCKh"):
        save_pckh({}, tmp_path / "a.png")
    with pytest.raises(InputError, match="model"):
        save_pckh({"model": (np.zeros(3), np.zeros(4))}, tmp_path / "a.png")
    with pytest.raises(InputError, match="nowhere"):
        save_curves([{"step": 1, "loss": 1.0}], tmp_path / "nowhere" / "a.png", ["loss"])
    assert not list(tmp_path.iterdir())
