"""An evaluation as tables for eyes and as plain values for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from vmaf_train.evaluation.measures import LEVELS
from vmaf_train.evaluation.outcome import Outcome
from vmaf_train.evaluation.scores import CURVES
from vmaf_train.intervals import DRAWS, SEED
from vmaf_train.pairs.listing import printable
from vmaf_train.run_record import Figure, FrameCost, decimal_text

__all__ = ["outcome_dict", "print_outcome"]


def print_outcome(outcome: Outcome, console: Console) -> None:
    """Print what was judged, a table of all columns, one of their differences, and the costs."""
    selection, columns = outcome.selection, outcome.columns

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    count = selection.share or f"{len(selection.pairs):,} pairs"
    say(f"{selection.name}: {count}, data digest {selection.digest[:16]}. {selection.notes}")
    for leak in selection.leaks or ():
        kind = "the same file" if leak.same_bytes else f"{leak.distance} of 256 bits apart"
        say(f"left out: {printable(leak.test.stem)} = {printable(leak.train.stem)} ({kind})")
    for column, extra in zip(columns, outcome.extras, strict=True):
        say(f"{column.label}: {column.protocol}." + "".join(f" {remark}" for remark in extra.remarks))
    say("")
    names = dict.fromkeys(name for figures in outcome.figures for name in figures)
    heads = [column.label for column in columns]
    console.print(_table("measure", heads, names, outcome.figures), markup=False, highlight=False)
    if outcome.differences:
        heads = [
            f"{columns[item.column].label}\n- {columns[item.base].label}" for item in outcome.differences
        ]
        figures = [item.figures for item in outcome.differences]
        say("")
        table = _table("difference", heads, figures[0], figures, signed=True)
        console.print(table, markup=False, highlight=False)
    say("")
    for column, extra in zip(columns, outcome.extras, strict=True):
        for cost in extra.costs:
            say(f"{column.label}: {_cost_text(cost)}")


def _table(
    head: str,
    heads: Sequence[str],
    names: Iterable[str],
    columns: Sequence[Mapping[str, Figure]],
    *,
    signed: bool = False,
) -> Table:
    """Return a table of figures; the interval goes below its value where columns are many."""
    table = Table(f"{head} (95 % interval)", box=None, pad_edge=False)
    for label in heads:
        table.add_column(label, justify="right", overflow="fold")
    between = "\n" if len(heads) > 2 else " "
    for name in names:
        table.add_row(name, *(_cell(figures.get(name), between, signed=signed) for figures in columns))
    return table


def _cell(figure: Figure | None, between: str, *, signed: bool) -> str:
    if figure is None:
        return "not measured"
    text = decimal_text(figure.value, signed=signed)
    if figure.low is not None and figure.high is not None:
        low, high = (decimal_text(value, signed=signed) for value in (figure.low, figure.high))
        text += f"{between}({low} to {high})"
    return text


def _cost_text(cost: FrameCost) -> str:
    p95 = "" if cost.p95_seconds is None else f", 95th percentile {cost.p95_seconds * 1000:.1f} ms"
    peak = "" if cost.peak_bytes is None else f", memory at most {cost.peak_bytes / 2**20:.0f} MiB"
    threads = "1 thread" if cost.threads == 1 else f"{cost.threads or 'all'} threads"
    return (
        f"{cost.width}x{cost.height} in {cost.median_seconds * 1000:.1f} ms{p95}{peak} "
        f"({cost.frames} runs, {threads})"
    )


def outcome_dict(outcome: Outcome) -> dict[str, Any]:
    """Return everything, figures per picture and curves included, as values that JSON can hold.

    A figure that a picture does not have is null. Curves are means over the pictures, index = level
    of the threshold, which is level / 255.
    """
    selection = outcome.selection
    return {
        "dataset": selection.name,
        "licence": selection.licence,
        "pairs": len(selection.pairs),
        "kept": selection.kept,
        "dropped": selection.dropped,
        "digest": selection.digest,
        "date": outcome.date,
        "notes": selection.notes,
        "leaks": None
        if selection.leaks is None
        else [
            {
                "train": printable(leak.train.image),
                "test": printable(leak.test.image),
                "same_bytes": leak.same_bytes,
                "distance": leak.distance,
            }
            for leak in selection.leaks
        ],
        "intervals": {"method": "bootstrap over pictures, percentile", "draws": DRAWS, "seed": SEED},
        "stems": [printable(pair.stem) for pair in selection.pairs],
        "thresholds": LEVELS,
        "columns": [
            {
                "label": column.label,
                "model": printable(column.model.path),
                "sha256": column.model.sha256,
                "size_multiple": column.model.size_multiple,
                "protocol": column.protocol,
                "figures": _figures(figures),
                "costs": [cost.model_dump(mode="json") for cost in extra.costs],
                "remarks": list(extra.remarks),
                "curves": {name: column.curve(name).tolist() for name in CURVES},
                "per_picture": {
                    name: [None if np.isnan(value) else value for value in values.tolist()]
                    for name, values in column.per_picture().items()
                },
            }
            for column, figures, extra in zip(outcome.columns, outcome.figures, outcome.extras, strict=True)
        ],
        "differences": [
            {
                "column": outcome.columns[item.column].label,
                "base": outcome.columns[item.base].label,
                "figures": _figures(item.figures),
            }
            for item in outcome.differences
        ],
    }


def _figures(figures: dict[str, Figure]) -> dict[str, Any]:
    return {name: figure.model_dump(mode="json") for name, figure in figures.items()}
