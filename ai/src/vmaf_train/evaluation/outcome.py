"""The result of an evaluation: each column's figures with their intervals, and how columns differ."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vmaf_train.evaluation.measures import LEVELS
from vmaf_train.evaluation.scores import IOU, MAE, Column
from vmaf_train.evaluation.selection import Selection
from vmaf_train.intervals import DRAWS, SEED, differences, figures
from vmaf_train.run_record import Evaluation, Figure, FrameCost, RunRecord, ThresholdCurves

__all__ = ["Difference", "Extras", "Outcome", "conclude", "threshold_means"]

_TOLD_CHANGES = (IOU, MAE)
_KEPT_LEVELS = (*range(8), *range(8, LEVELS - 8, 6), *range(LEVELS - 8, LEVELS))
"""What a record keeps of the 256 levels: most at the ends, where a map of clear opinions changes."""
_INTERVALS = f"Intervals: bootstrap over pictures, {DRAWS} draws, seed {SEED}."


@dataclass(frozen=True)
class Extras:
    """What was measured of a column beside its maps' fit.

    Attributes:
        costs: what a frame costs.
        steadiness: values per picture ``[pictures, 1]``, as ``steadiness`` gives them.
        remarks: whole sentences for the notes.
    """

    costs: tuple[FrameCost, ...] = ()
    steadiness: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """How much each measure of ``column`` exceeds that of ``base``, numbers of ``Outcome.columns``."""

    column: int
    base: int
    figures: dict[str, Figure]


@dataclass(frozen=True)
class Outcome:
    """Everything that a table, a file or a card may quote.

    Attributes:
        selection: the pairs.
        columns: models and ways of feeding; the first is what models are compared with.
        figures: per column, each measure with its interval.
        differences: of every further model to the first, and of every other way of feeding to
            the plain one of the same model.
        extras: per column.
        date: UTC day, ``YYYY-MM-DD``.
    """

    selection: Selection
    columns: tuple[Column, ...]
    figures: tuple[dict[str, Figure], ...]
    differences: tuple[Difference, ...]
    extras: tuple[Extras, ...]
    date: str

    def evaluations(self, record: RunRecord) -> tuple[Evaluation, ...]:
        """Return the entries for the record of one of the models, for each file of it and way of feeding.

        Where a training set was named, the notes say whether it is the one that the record names.
        """
        trained: tuple[str, ...] = ()
        if self.selection.trained_digest and record.data is not None:
            same = self.selection.trained_digest == record.data.digest
            trained = (f"That set is {'' if same else 'not '}the one that this model was trained on.",)
            if any(run.data_digest != self.selection.trained_digest for run in record.training.earlier):
                trained += ("It began with the weights of a run on other data, which was not compared.",)
        entries = []
        for number, column in enumerate(self.columns):
            if column.model.sha256 not in record.forms:
                continue
            metrics = dict(self.figures[number])
            for difference in self.differences:
                if difference.column == number and self.columns[difference.base].model is column.model:
                    metrics |= {
                        f"{name}, change": difference.figures[name]
                        for name in _TOLD_CHANGES
                        if name in difference.figures
                    }
            extras = self.extras[number]
            share = self.selection.share
            entries.append(
                Evaluation(
                    dataset=self.selection.name,
                    protocol=column.protocol + (f"; {share}" if share else ""),
                    pairs=len(self.selection.pairs),
                    digest=self.selection.digest,
                    date=self.date,
                    model_sha256=column.model.sha256,
                    licence=self.selection.licence,
                    metrics=metrics,
                    curves=threshold_means(column, _KEPT_LEVELS),
                    costs=extras.costs,
                    notes=" ".join((self.selection.notes, *trained, *extras.remarks, _INTERVALS)),
                )
            )
        return tuple(entries)


def threshold_means(column: Column, levels: Sequence[int] = range(LEVELS)) -> ThresholdCurves:
    """Return a column's curves at these of the 256 levels, to four decimals."""

    def mean(name: str) -> tuple[float, ...]:
        return tuple(round(float(value), 4) for value in column.curve(name)[list(levels)])

    return ThresholdCurves(
        threshold=tuple(round(level / (LEVELS - 1), 4) for level in levels),
        precision=mean("precision"),
        recall=mean("recall"),
        f=mean("f"),
    )


def conclude(selection: Selection, columns: Sequence[Column], extras: Sequence[Extras]) -> Outcome:
    """Return the outcome of judged columns; the same columns give the same figures."""
    samples = [column.samples() for column in columns]
    found = [
        figures(values) | figures(extra.steadiness) for values, extra in zip(samples, extras, strict=True)
    ]
    differing = []
    for number in range(len(columns)):
        base = _base(columns, number)
        if base != number:
            differing.append(Difference(number, base, differences(samples[number], samples[base])))
    return Outcome(
        selection,
        tuple(columns),
        tuple(found),
        tuple(differing),
        tuple(extras),
        datetime.datetime.now(datetime.UTC).date().isoformat(),
    )


def _base(columns: Sequence[Column], number: int) -> int:
    """Return the column to compare with: the same model fed plainly, for that one the first model."""
    column = columns[number]
    same = [i for i, other in enumerate(columns) if other.model is column.model]
    return same[0] if same[0] != number else 0
