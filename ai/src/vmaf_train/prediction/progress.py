"""The bar over the frames of a clip, with frames per second and the time that is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

__all__ = ["frame_bar"]


class _FramesPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} frames/s")


@contextmanager
def frame_bar(console: Console, name: str, total: int | None) -> Iterator[Callable[[], None]]:
    """Show a bar on ``console`` where that is a terminal, and nothing elsewhere.

    Args:
        console: of standard error.
        name: the clip's name.
        total: how many frames it has; None shows no end and no time left.

    Yields:
        What to call after each frame.
    """
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _FramesPerSecond(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=total)
        yield lambda: bar.advance(task)
