"""The table that a run ends with."""

from __future__ import annotations

from rich.table import Table

from vmaf_train.run_record import RunRecord

__all__ = ["summary_table"]


def summary_table(record: RunRecord) -> Table:
    """Return the run's chief figures as a plain two-column table."""
    table = Table("figure", "value", box=None, pad_edge=False, title=record.id, title_justify="left")
    training, gate, export = record.training, record.gate, record.export
    for name, value in gate.metrics.items():
        shown = "not computed" if value is None else f"{value:.4f}"
        floor = f" (gate: at least {gate.min_value:g})" if name == gate.metric else ""
        table.add_row(f"validation {name}", shown + floor)
    table.add_row("parameters", f"{training.parameters:,}")
    if training.history:
        speed = sum(epoch.images_per_second for epoch in training.history) / len(training.history)
        table.add_row("epochs, best", f"{len(training.history)}, {training.best_epoch}")
        table.add_row("training time", f"{training.seconds:.0f} s, {speed:.1f} images/s")
    if export is not None:
        table.add_row("file", f"{export.size_bytes:,} bytes, opset {export.opset}")
        table.add_row("operators", ", ".join(export.ops))
        table.add_row("worst parity", f"{export.worst_parity:.1e} (limit {export.parity_limit:g})")
        table.add_row("sha256", export.sha256)
    return table
