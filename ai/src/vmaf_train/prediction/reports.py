"""What was predicted, as a table, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from vmaf_train.onnx_session import MapModel
from vmaf_train.pairs.listing import printable
from vmaf_train.prediction.clip import Clip
from vmaf_train.prediction.signal import FrameSignal, SeriesSummary, feature_stem, summarise

__all__ = ["InputReport", "csv_text", "input_report", "padding_note", "prediction_dict", "prediction_table"]


@dataclass(frozen=True)
class InputReport:
    """One input and its numbers.

    Attributes:
        name: the input as it was named, in letters that any file takes.
        kind: how it was read.
        pixel_format: of its frames.
        fed: (width, height) that the model ran at, for the first frame.
        notes: what a reader of the numbers must know.
        signals: one per frame.
        summary: of them.
    """

    name: str
    kind: str
    pixel_format: str
    fed: tuple[int, int]
    notes: tuple[str, ...]
    signals: tuple[FrameSignal, ...]
    summary: SeriesSummary


def padding_note(model: MapModel, signals: Sequence[FrameSignal]) -> str:
    """Return what was done to frames that the model does not take as they are; empty for nothing."""
    if all(model.fed_size(item.height, item.width) == (item.height, item.width) for item in signals):
        return ""
    return f"{model.sizing}; a loader that feeds the native size refuses such frames"


def input_report(model: MapModel, clip: Clip, signals: Sequence[FrameSignal]) -> InputReport:
    """Return the report of a clip that was read; ``signals`` has at least one frame."""
    first = signals[0]
    tall, wide = model.fed_size(first.height, first.width)
    notes = list(clip.notes)
    if note := padding_note(model, signals):
        notes.append(note)
    return InputReport(
        printable(clip.name),
        str(clip.kind),
        clip.pixel_format,
        (wide, tall),
        tuple(notes),
        tuple(signals),
        summarise(signals),
    )


def prediction_dict(model: MapModel, reports: Sequence[InputReport]) -> dict[str, Any]:
    """Return everything for a JSON file; the keys of the numbers are the feature's names."""
    stem = feature_stem(model.output_name)
    return {
        "format": 1,
        "model": {"file": model.path.name, "sha256": model.sha256, "output": model.output_name},
        "feature": f"{stem}_mean",
        "inputs": [
            {
                "input": report.name,
                "kind": report.kind,
                "pixel_format": report.pixel_format,
                "width": report.signals[0].width,
                "height": report.signals[0].height,
                "fed_width": report.fed[0],
                "fed_height": report.fed[1],
                "notes": list(report.notes),
                "summary": asdict(report.summary),
                "frames": [_row(stem, signal) for signal in report.signals],
            }
            for report in reports
        ],
    }


def csv_text(model: MapModel, reports: Sequence[InputReport]) -> str:
    """Return one line per frame of every input; a change that there is not is an empty field."""
    stem = feature_stem(model.output_name)
    buffer = io.StringIO()
    rows = [{"input": report.name, **_row(stem, item)} for report in reports for item in report.signals]
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def _row(stem: str, signal: FrameSignal) -> dict[str, Any]:
    return {
        "frame": signal.frame,
        "picture": printable(signal.name),
        "width": signal.width,
        "height": signal.height,
        f"{stem}_mean": signal.mean,
        f"{stem}_change": signal.change,
        "latency_ms": round(signal.latency_ms, 3),
    }


def prediction_table(model: MapModel, reports: Sequence[InputReport]) -> Table:
    """Return a row per input; the feature's name stands above."""
    table = Table(
        title=f"{feature_stem(model.output_name)}_mean of {model.name}",
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
    )
    table.add_column("input", overflow="fold")
    for heading in ("frames", "size", "mean", "std", "change", "ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    for report in reports:
        summary = report.summary
        sizes = {(signal.width, signal.height) for signal in report.signals}
        table.add_row(
            Path(report.name).name or report.name,
            str(summary.frames),
            "various" if len(sizes) > 1 else "{}x{}".format(*sizes.pop()),
            f"{summary.mean:.6f}",
            "constant" if summary.constant and summary.frames > 1 else f"{summary.std:.6f}",
            "none" if summary.change is None else f"{summary.change:.6f}",
            f"{summary.latency_ms:.1f}",
        )
    return table
