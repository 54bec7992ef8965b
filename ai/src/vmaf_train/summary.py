"""The table that a run ends with."""

from __future__ import annotations

from statistics import harmonic_mean

from rich.table import Table

from vmaf_train.run_record import RunRecord

__all__ = ["quantised_table", "summary_table"]


def summary_table(record: RunRecord) -> Table:
    """Return the run's chief figures as a plain two-column table."""
    table = Table("figure", "value", box=None, pad_edge=False, title=record.id, title_justify="left")
    training, gate, export = record.training, record.gate, record.export
    for name, value in gate.metrics.items():
        shown = "not computed" if value is None else f"{value:.4f}"
        if name in gate.intervals:
            shown = gate.intervals[name].text
        floor = f" (gate: at least {gate.min_value:g})" if name == gate.metric else ""
        table.add_row(f"validation {name}", shown + floor)
    table.add_row("parameters", f"{training.parameters:,}")
    if training.history:
        # Each epoch has the same images, so the rate over all of them is the harmonic mean.
        speed = harmonic_mean(epoch.images_per_second for epoch in training.history)
        table.add_row("epochs, best", f"{len(training.history)}, {training.best_epoch}")
        table.add_row("training time", f"{training.seconds:.0f} s, {speed:.1f} images/s")
    if export is not None:
        table.add_row("file", f"{export.size_bytes:,} bytes, opset {export.opset}")
        table.add_row("operators", ", ".join(export.ops))
        table.add_row("worst parity", f"{export.worst_parity:.1e} (limit {export.parity_limit:g})")
        table.add_row("sha256", export.sha256)
    return table


def quantised_table(record: RunRecord) -> Table:
    """Return the figures of the float file and of its 8-bit form side by side."""
    small, export = record.quantised, record.export
    table = Table(
        "figure", "float32", "8-bit", box=None, pad_edge=False, title=record.id, title_justify="left"
    )
    if small is None or export is None:
        return table
    table.add_row(
        f"{small.metric} over {small.samples} samples", f"{small.float_value:.4f}", f"{small.int8_value:.4f}"
    )
    table.add_row("bytes", f"{export.size_bytes:,}", f"{small.size_bytes:,}")
    for size, (before, after) in small.milliseconds.items():
        table.add_row(f"ms at {size}, {small.threads} threads", f"{before:.2f}", f"{after:.2f}")
    return table
