"""Two models on the same frames: how their series differ, and whether a correlation means anything."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from vmaf_train.onnx_session import MapModel
from vmaf_train.prediction.signal import FrameSignal, SeriesSummary, feature_stem, summarise

__all__ = ["Comparison", "compare", "comparison_dict", "comparison_table", "signal_plot"]

LEAST_FRAMES = 3
"""Two points always lie on a line, so fewer frames than this have no correlation."""

Pairs = Sequence[tuple[FrameSignal, FrameSignal]]


@dataclass(frozen=True)
class Comparison:
    """Two series over the same frames.

    Attributes:
        name: the clip, or ``all``.
        first: what the first model's series amounts to.
        second: the second's.
        correlation: Pearson's, -1 to 1; None where it is undefined.
        undefined: why it is undefined; empty where it is a number.
        difference: mean absolute difference of the two means.
        notes: what was done to the clip or to the frames before they were fed.
    """

    name: str
    first: SeriesSummary
    second: SeriesSummary
    correlation: float | None
    undefined: str
    difference: float
    notes: tuple[str, ...] = ()


def compare(name: str, pairs: Pairs, notes: tuple[str, ...] = ()) -> Comparison:
    """Compare two series, given as one pair per frame, at least one; ``notes`` are passed on."""
    first, second = (summarise([pair[side] for pair in pairs]) for side in (0, 1))
    one, two = (np.array([pair[side].mean for pair in pairs], dtype=np.float64) for side in (0, 1))
    undefined = ""
    if len(pairs) < LEAST_FRAMES:
        undefined = f"fewer than {LEAST_FRAMES} frames"
    elif first.constant or second.constant:
        which = "both are" if first.constant and second.constant else "A is" if first.constant else "B is"
        undefined = f"{which} constant"
    correlation = None if undefined else float(np.corrcoef(one, two)[0, 1])
    if correlation is not None and not math.isfinite(correlation):
        correlation, undefined = None, "it is not a finite number"
    return Comparison(name, first, second, correlation, undefined, float(np.abs(one - two).mean()), notes)


def comparison_dict(models: tuple[MapModel, MapModel], rows: Sequence[Comparison]) -> dict[str, Any]:
    """Return everything for a JSON file; an undefined correlation is null beside its reason."""
    keys = ("a", "b")
    return {
        "format": 1,
        "models": {
            key: {"file": model.path.name, "sha256": model.sha256, "output": model.output_name}
            for key, model in zip(keys, models, strict=True)
        },
        "clips": [
            {
                "clip": row.name,
                "a": asdict(row.first),
                "b": asdict(row.second),
                "correlation": row.correlation,
                "undefined": row.undefined or None,
                "mean_absolute_difference": row.difference,
                "notes": list(row.notes),
            }
            for row in rows
        ],
    }


def comparison_table(rows: Sequence[Comparison]) -> Table:
    """Return a row per clip."""
    table = Table(box=None, pad_edge=False)
    table.add_column("clip", overflow="fold")
    for heading in ("frames", "mean A", "std A", "mean B", "std B", "|A-B|"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("correlation", min_width=11)
    for row in rows:
        cells = [str(row.first.frames)]
        for side in (row.first, row.second):
            cells += [f"{side.mean:.5f}", "constant" if side.constant else f"{side.std:.5f}"]
        said = f"undefined: {row.undefined}" if row.correlation is None else f"{row.correlation:.4f}"
        table.add_row(Path(row.name).name or row.name, *cells, f"{row.difference:.5f}", said)
    return table


def signal_plot(
    models: tuple[MapModel, MapModel], clips: Sequence[tuple[str, Pairs]], caption: str, *, form: str
) -> bytes:
    """Return both series over the frames of all clips, one after the other, as a picture.

    Args:
        models: the two.
        clips: name and pairs of each clip, at least one.
        caption: a line above, such as the correlation.
        form: ``png`` or ``svg``.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with mpl.rc_context():
        mpl.rcdefaults()  # a user's own style must not change the bytes
        mpl.rcParams.update({"svg.hashsalt": "vmaf_train", "font.size": 10, "svg.fonttype": "none"})
        mpl.rcParams["text.parse_math"] = False  # a file's name may hold a dollar sign
        figure = Figure(figsize=(10.0, 4.2), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        for side, (key, model) in enumerate(zip("AB", models, strict=True)):
            start = 0
            for number, (_, pairs) in enumerate(clips):
                frames = range(start, start + len(pairs))
                axes.plot(
                    frames,
                    [pair[side].mean for pair in pairs],
                    color=("#1f6fb4", "#c8552b")[side],
                    linewidth=1.3,
                    marker="o" if len(pairs) < 3 else "",
                    label=f"{key}: {model.name}" if not number else None,
                )
                start += len(pairs)
        stems = dict.fromkeys(f"{feature_stem(model.output_name)}_mean" for model in models)
        top = axes.get_ylim()[1]
        start = 0
        for name, pairs in clips:
            if start:
                axes.axvline(start - 0.5, color="#999999", linewidth=0.8, linestyle=":")
            if len(clips) > 1:
                axes.annotate(
                    Path(name).name or name,
                    (start, top),
                    (3, -3),
                    textcoords="offset points",
                    va="top",
                    size=8,
                    color="#555555",
                )
            start += len(pairs)
        axes.set(title=caption, xlabel="frame", ylabel=" / ".join(stems))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(visible=True, alpha=0.3)
        for edge in ("top", "right"):
            axes.spines[edge].set_visible(False)
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
        buffer = io.BytesIO()
        metadata: dict[str, Any] = {"Date": None, "Creator": None} if form == "svg" else {"Software": None}
        figure.savefig(buffer, format=form, dpi=120, metadata=metadata)
    return buffer.getvalue()
