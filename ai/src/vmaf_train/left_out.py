"""The faulty files that a run leaves out, by name: for whoever mends them, and for nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vmaf_train.files import write_atomic

if TYPE_CHECKING:
    from vmaf_train.report import Reporter

__all__ = ["LEFT_OUT_NAME", "name_left_out"]

LEFT_OUT_NAME = "left_out.txt"
"""The file in a run folder that names them all; no record and no page does."""

_NAMED = 5


def name_left_out(lines: Sequence[str], run_dir: Path, say: Reporter) -> None:
    """Say the first names of faulty files, and put all of them into the run folder.

    Args:
        lines: one for each, as :class:`~vmaf_train.task.DataSplits` has them.
        run_dir: the run's folder, which must stand.
        say: told in one line; not where there are none.

    Raises:
        PublishError: the folder cannot be written.
    """
    path = run_dir / LEFT_OUT_NAME
    if not lines:
        path.unlink(missing_ok=True)  # of an attempt that saw other files
        return
    write_atomic(path, "".join(f"{line}\n" for line in lines))
    more = f" and {len(lines) - _NAMED} more" if len(lines) > _NAMED else ""
    say.stage(f"data: left out: {'; '.join(lines[:_NAMED])}{more}; all in {path}")
