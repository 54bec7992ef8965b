"""Precision over recall, and F over the threshold: curves without any picture of the set."""

from __future__ import annotations

from vmaf_train.evaluation.outcome import Outcome, threshold_means
from vmaf_train.figures import CurveLine, threshold_curves

__all__ = ["FORMS", "curves"]

FORMS = ("png", "svg")


def curves(outcome: Outcome, form: str) -> bytes:
    """Return the curves of all columns as a picture; the same bytes for the same figures.

    Args:
        outcome: what to draw.
        form: one of ``FORMS``.
    """
    lines = [
        CurveLine(column.label, threshold_means(column), dashed=column.feed.yuv) for column in outcome.columns
    ]
    title = f"{outcome.selection.name}, {len(outcome.selection.pairs):,} pairs"
    return threshold_curves(lines, title, form=form)
