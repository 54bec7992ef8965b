"""Pictures of a run: curves over the epochs, and a sheet of samples."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from vmaf_train.run_record import EpochRecord, RunRecord, ThresholdCurves
from vmaf_train.task import Panels

__all__ = [
    "CurveLine",
    "blank_figure",
    "contact_sheet",
    "curves",
    "picture_bytes",
    "plain_style",
    "record_curves",
    "threshold_curves",
    "trial_curves",
]

_GAP = 4
_NAMED_LINES = 10
_LONG_LABEL = 30
"""Characters above which labels stand below one another."""


def curves(history: Sequence[EpochRecord], title: str, *, form: str) -> bytes:
    """Return loss and metrics over the epochs as a picture; the same bytes for the same history.

    Args:
        history: at least one epoch; a metric that was no number leaves a gap.
        title: the heading.
        form: ``png`` or ``svg``.
    """
    with plain_style():
        figure = blank_figure()
        left, right = figure.subplots(1, 2)
        epochs = [record.epoch for record in history]
        marker = "o" if len(epochs) < 3 else ""
        left.plot(epochs, _gaps([record.loss for record in history]), color="#4c4c4c", marker=marker)
        left.set(title="training loss", xlabel="epoch")
        names = dict.fromkeys(name for record in history for name in record.metrics)
        lines = [_gaps([record.metrics.get(name) for record in history]) for name in names]
        for name, line in zip(names, lines, strict=True):
            right.plot(epochs, line, label=name, marker=marker)
        right.set(title="validation", xlabel="epoch")
        if not any(value < 0 for line in lines for value in line):
            right.set_ylim(bottom=0.0)
        if names:
            right.legend(frameon=False, loc="center right")
        for axes in (left, right):
            axes.xaxis.get_major_locator().set_params(integer=True)
        figure.suptitle(title)
        return picture_bytes(figure, form)


def trial_curves(trials: Mapping[str, Sequence[EpochRecord]], metric: str, *, form: str) -> bytes:
    """Return training loss and one metric of several runs in one picture; the same bytes for the same runs.

    Args:
        trials: name to epochs, at least one run of at least one epoch.
        metric: the metric to draw.
        form: ``png`` or ``svg``.
    """
    with plain_style():
        figure = blank_figure()
        left, right = figure.subplots(1, 2)
        marker = "o" if max(map(len, trials.values())) < 3 else ""
        for name, history in trials.items():
            epochs = [record.epoch for record in history]
            left.plot(epochs, _gaps([record.loss for record in history]), label=name, marker=marker)
            right.plot(epochs, _gaps([record.metrics.get(metric) for record in history]), marker=marker)
        left.set(title="training loss", xlabel="epoch")
        right.set(title=f"validation {metric}", xlabel="epoch")
        if len(trials) <= _NAMED_LINES:
            left.legend(frameon=False, loc="upper right")
        for axes in (left, right):
            axes.xaxis.get_major_locator().set_params(integer=True)
        return picture_bytes(figure, form)


@dataclass(frozen=True)
class CurveLine:
    """Curves to draw, and what the legend calls them."""

    label: str
    curves: ThresholdCurves
    dashed: bool = False


def threshold_curves(lines: Sequence[CurveLine], title: str, *, form: str) -> bytes:
    """Return precision over recall, and F over the threshold; the same bytes for the same figures.

    Args:
        lines: at least one.
        title: the heading.
        form: ``png`` or ``svg``.
    """
    with plain_style():
        figure = blank_figure()
        left, right = figure.subplots(1, 2)
        for number, line in enumerate(lines):
            style = {"color": f"C{number}", "linestyle": "--" if line.dashed else "-"}
            curves = line.curves
            # Where nothing is found, precision is no number, and its 0 would be a point of the curve.
            found = [place for place, recall in enumerate(curves.recall) if recall > 0]
            recalls, precisions = np.array(curves.recall)[found], np.array(curves.precision)[found]
            left.plot(recalls, precisions, label=line.label, **style)
            right.plot(curves.threshold, curves.f, **style)
            best = int(np.argmax(curves.f))
            right.plot(curves.threshold[best], curves.f[best], marker="o", markersize=4, color=f"C{number}")
        left.set(title="precision over recall", xlabel="recall", ylabel="precision")
        right.set(title="F over the threshold; dot: F max", xlabel="threshold", ylabel="F")
        for axes in (left, right):
            axes.set(xlim=(0, 1), ylim=(0, 1))
        figure.suptitle(title)
        wide = max(len(line.label) for line in lines) > _LONG_LABEL
        figure.legend(loc="outside lower center", ncols=1 if wide else min(3, len(lines)), frameon=False)
        return picture_bytes(figure, form)


@contextmanager
def plain_style() -> Iterator[None]:
    """Draw alike whatever style the user has, so that the same numbers give the same bytes."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"svg.hashsalt": "vmaf_train", "font.size": 10, "svg.fonttype": "none"})
        yield


def blank_figure() -> Any:
    """Return an empty matplotlib figure with room for two charts beside each other."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def picture_bytes(figure: Any, form: str) -> bytes:
    """Return a figure as the bytes of a ``png`` or ``svg`` file, each of its charts tidied."""
    for axes in figure.axes:
        axes.grid(visible=True, alpha=0.3)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    buffer = io.BytesIO()
    metadata: dict[str, Any] = {"Date": None, "Creator": None} if form == "svg" else {"Software": None}
    figure.savefig(buffer, format=form, dpi=120, metadata=metadata)
    return buffer.getvalue()


def _gaps(values: Sequence[float | None]) -> list[float]:
    return [math.nan if value is None else value for value in values]


def contact_sheet(rows: Panels) -> bytes | None:
    """Return the panels as one PNG: each row of panels side by side, several rows to a line.

    None when there are no panels.
    """
    if not any(len(row) for row in rows):
        return None
    height = max(panel.shape[0] for row in rows for panel in row)
    width = max(panel.shape[1] for row in rows for panel in row)
    panels = max(len(row) for row in rows)
    row_width = panels * (width + _GAP) + 3 * _GAP
    # As near to a square as whole rows allow.
    across = max(1, round(math.sqrt(len(rows) * (height + _GAP) / row_width)))
    lines = -(-len(rows) // across)
    sheet = np.full((lines * (height + _GAP) + _GAP, across * row_width, 3), 255, dtype=np.uint8)
    for number, row in enumerate(rows):
        top = _GAP + number // across * (height + _GAP)
        for j, panel in enumerate(row):
            left = 2 * _GAP + number % across * row_width + j * (width + _GAP)
            sheet[top : top + panel.shape[0], left : left + panel.shape[1]] = panel
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, format="PNG")
    return buffer.getvalue()


def record_curves(record: RunRecord) -> bytes | None:
    """Return the curves of all tests of a record as an SVG; None where no test has any."""
    lines = [
        CurveLine(f"{record.test_name(test)}, {test.protocol}, {test.pairs:,} pairs", test.curves)
        for test in record.evaluations
        if test.curves is not None
    ]
    return threshold_curves(lines, record.id, form="svg") if lines else None
