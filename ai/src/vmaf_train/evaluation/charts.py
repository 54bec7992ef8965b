"""Precision over recall, and F over the threshold: curves without any picture of the set."""

from __future__ import annotations

import numpy as np

from vmaf_train.evaluation.measures import LEVELS
from vmaf_train.evaluation.outcome import Outcome
from vmaf_train.figures import blank_figure, picture_bytes, plain_style

__all__ = ["FORMS", "curves"]

FORMS = ("png", "svg")


def curves(outcome: Outcome, form: str) -> bytes:
    """Return the curves of all columns as a picture; the same bytes for the same figures.

    Args:
        outcome: what to draw.
        form: one of ``FORMS``.
    """
    thresholds = np.arange(LEVELS) / (LEVELS - 1)
    with plain_style():
        figure = blank_figure()
        left, right = figure.subplots(1, 2)
        for number, column in enumerate(outcome.columns):
            f = column.curve("f")
            style = {"color": f"C{number}", "linestyle": "--" if column.feed.yuv else "-"}
            left.plot(column.curve("recall"), column.curve("precision"), label=column.label, **style)
            right.plot(thresholds, f, **style)
            best = int(f.argmax())
            right.plot(thresholds[best], f[best], marker="o", markersize=4, color=f"C{number}")
        left.set(title="precision over recall", xlabel="recall", ylabel="precision")
        right.set(title="F over the threshold; dot: F max", xlabel="threshold", ylabel="F")
        for axes in (left, right):
            axes.set(xlim=(0, 1), ylim=(0, 1))
        figure.suptitle(f"{outcome.selection.name}, {len(outcome.selection.pairs):,} pairs")
        figure.legend(loc="outside lower center", ncols=min(3, len(outcome.columns)), frameon=False)
        return picture_bytes(figure, form)
