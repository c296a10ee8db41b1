"""Curves of a training run and of PCKh, as PNG files."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from posegan_jax.errors import InputError
from posegan_jax.runtime.files import atomic_path

# M. Okabe and K. Ito's palette without its yellow, which is faint on white. Line styles tell the
# curves apart in black and white too.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
_STYLES = ("-", "--", "-.", ":")
_COLUMNS = 3
_FEW = 7  # curves


def save_curves(
    metrics: Sequence[Mapping[str, Any]], path: str | os.PathLike, names: Sequence[str]
) -> None:
    """Plots metrics over steps, one axis per name; logarithmic where all values are positive.

    Args:
      metrics: entries {'step': int, name: number, ...}. An entry may lack a name; a value that is
        None or not finite leaves a gap.
      path: PNG to write; its folder must exist.
      names: metrics to plot. One that no entry has gets an axis that says so.

    Raises:
      InputError: no name is given, or no such folder.
    """
    if not names:
        raise InputError(f"{path}: name at least one metric to plot")
    columns = min(_COLUMNS, len(names))
    rows = -(-len(names) // columns)
    # Figure alone, without pyplot: no display, no global state, nothing to close.
    figure = Figure(figsize=(4.6 * columns, 3.1 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, name in zip(axes, names, strict=False):
        steps, values = _series(metrics, name)
        axis.set_title(name, fontsize=10)
        _plot_metric(axis, steps, values)
    for axis in axes[len(names) :]:
        axis.set_axis_off()
    _save(figure, path)


def save_pckh(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]], path: str | os.PathLike
) -> None:
    """Plots PCKh over its threshold, one curve per name, with the value at 0.5 in the legend.

    Args:
      curves: name -> (alphas (A,) rising, in head sizes; shares (A,) in [0, 1]).
      path: PNG to write; its folder must exist.

    Raises:
      InputError: there is no curve, or one's alphas and values differ in length; no such folder.
    """
    checked = _checked(curves, path)
    figure = Figure(figsize=(6.4, 4.6), layout="constrained")
    axis = figure.subplots()
    _plot_pckh(axis, checked)
    _legend(figure, axis)
    _save(figure, path)


def save_pckh_differences(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]], reference: str, path: str | os.PathLike
) -> None:
    """Plots PCKh, and beside it its difference to one of the curves, in points of per cent.

    Curves that lie over each other are told apart that way (thesis, figure 8).

    Args:
      curves: as for ``save_pckh``, all with the same alphas.
      reference: name of the curve that is subtracted.
      path: PNG to write; its folder must exist.

    Raises:
      InputError: as for ``save_pckh``; no curve of that name, or alphas differ.
    """
    checked = _checked(curves, path)
    if reference not in checked:
        raise InputError(f"{path}: no PCKh curve {reference!r} to compare with")
    alphas, base = checked[reference]
    figure = Figure(figsize=(11.0, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    _plot_pckh(left, checked)
    for i, (name, (own, values)) in enumerate(checked.items()):
        if own.shape != alphas.shape or (own != alphas).any():
            raise InputError(f"{path}: PCKh of {name} and {reference} have other thresholds")
        if name != reference:
            right.plot(own, values - base, _STYLES[i % len(_STYLES)],
                       color=_COLOURS[i % len(_COLOURS)], lw=1.8)
    right.axhline(0.0, color="0.3", lw=0.8)
    right.set(xlabel="threshold, in head sizes", ylabel=f"difference to {reference}, points")
    right.margins(x=0)
    right.grid(color="0.9")
    _legend(figure, left)
    _save(figure, path)


def _checked(curves, path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Thresholds and per cent."""
    if not curves:
        raise InputError(f"{path}: no PCKh curve to plot")
    checked = {}
    for name, (alphas, values) in curves.items():
        alphas, values = np.asarray(alphas, float), 100 * np.asarray(values, float)
        if alphas.ndim != 1 or alphas.shape != values.shape:
            raise InputError(
                f"PCKh of {name}: alphas {alphas.shape} and values {values.shape} do not match"
            )
        checked[name] = alphas, values
    return checked


def _plot_pckh(axis: Axes, curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> None:
    for i, (name, (alphas, values)) in enumerate(curves.items()):
        label = name
        if len(alphas) and alphas[0] <= 0.5 <= alphas[-1]:
            label += f" ({np.interp(0.5, alphas, values):.1f} % at 0.5)"
        style = _STYLES[i % len(_STYLES)]
        axis.plot(alphas, values, style, color=_COLOURS[i % len(_COLOURS)], lw=1.8, label=label)
    axis.set(xlabel="threshold, in head sizes", ylabel="joints within the threshold, %")
    axis.set_ylim(0, 102)
    axis.margins(x=0)
    axis.grid(color="0.9")


def _legend(figure: Figure, axis: Axes) -> None:
    """In the corner that curves leave free; beside the axes where there are many."""
    if len(axis.lines) <= _FEW:
        axis.legend(fontsize=9, loc="lower right")
    else:
        width, height = figure.get_size_inches()
        figure.set_size_inches(width + 2.6, height)
        figure.legend(fontsize=8, loc="outside right center")


def _series(metrics: Sequence[Mapping[str, Any]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values (M,) of the entries that have a metric; None becomes NaN."""
    entries = [(row["step"], row[name]) for row in metrics if name in row]
    steps = np.array([step for step, _ in entries], float)
    values = np.array([np.nan if value is None else value for _, value in entries], float)
    return steps, np.where(np.isfinite(values), values, np.nan)


def _plot_metric(axis: Axes, steps: np.ndarray, values: np.ndarray) -> None:
    axis.tick_params(labelsize=8, which="both")
    finite = values[np.isfinite(values)]
    if not len(finite):
        axis.text(0.5, 0.5, "no values", transform=axis.transAxes, ha="center", color="0.4")
        axis.set(xticks=[], yticks=[])
        return
    # Within less than a decade the labels of a logarithmic axis would all read alike.
    if finite.min() > 0 and finite.max() > 10 * finite.min():
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(LogFormatter())
        axis.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1.5, 0.5)))
    # A point between two gaps has no line: few points get markers, so that none is lost.
    axis.plot(steps, values, color=_COLOURS[0], lw=1.3, marker="o" if len(values) < 30 else "",
              markersize=3)
    axis.set_xlabel("step", fontsize=8)
    axis.grid(color="0.9")


def _save(figure: Figure, path: str | os.PathLike) -> None:
    with atomic_path(Path(path)) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
