"""What a person sees while a run goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from vmaf_train.run_record import EpochRecord

__all__ = ["ConsoleReporter", "Reporter", "SilentReporter", "closing_reporter"]


class Reporter(Protocol):
    """Told what happens; never asked."""

    def stage(self, text: str) -> None:
        """Say that a stage begins or what it found, in one line."""
        ...

    def progress(self, stage: str, done: int, total: int) -> None:
        """Say how far a long step is."""
        ...

    def training(self, epochs: int, steps: int, batch_size: int, done: int) -> None:
        """Say that training begins: ``steps`` per epoch, ``done`` of all taken before."""
        ...

    def step(self, epoch: int, loss: float) -> None:
        """Say that an optimiser step was taken."""
        ...

    def epoch(self, record: EpochRecord, *, best: bool) -> None:
        """Say that an epoch ended."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


class SilentReporter:
    """Says nothing."""

    def stage(self, text: str) -> None:
        """Say nothing."""

    def progress(self, stage: str, done: int, total: int) -> None:
        """Say nothing."""

    def training(self, epochs: int, steps: int, batch_size: int, done: int) -> None:
        """Say nothing."""

    def step(self, epoch: int, loss: float) -> None:
        """Say nothing."""

    def epoch(self, record: EpochRecord, *, best: bool) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Do nothing."""


class ConsoleReporter:
    """A bar with throughput and ETA on a terminal; one line per stage and epoch everywhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bars: Progress | None = None
        self._bar: TaskID | None = None
        self._stage = ""
        self._epochs = 0
        self._batch_size = 0
        self._began = 0.0
        self._done = 0
        self._first = 0

    def stage(self, text: str) -> None:
        """Print one line."""
        self.console.print(text, highlight=False, soft_wrap=True, markup=False)

    def progress(self, stage: str, done: int, total: int) -> None:
        """Open or advance the bar of a step that is not training."""
        if stage != self._stage or self._bars is None or self._bar is None:
            self._open(stage, total, "items/s")
        self._advance(done)
        if done >= total:
            seconds = time.perf_counter() - self._began
            self.close()
            self.stage(f"{stage}: {total} in {seconds:.1f} s")

    def training(self, epochs: int, steps: int, batch_size: int, done: int) -> None:
        """Open the bar over all steps of the run."""
        self._epochs, self._batch_size = epochs, batch_size
        self._open(f"epoch {done // steps + 1}/{epochs}", epochs * steps, "images/s", done)

    def step(self, epoch: int, loss: float) -> None:
        """Advance the bar by a step."""
        if self._bars is not None and self._bar is not None:
            text = f"epoch {epoch}/{self._epochs}  loss {loss:.4f}"
            self._bars.update(self._bar, description=text)
            self._advance(self._done + 1, self._batch_size)

    def epoch(self, record: EpochRecord, *, best: bool) -> None:
        """Print the epoch's line."""
        metrics = "  ".join(
            f"{key} {'n/a' if value is None else format(value, '.4f')}"
            for key, value in record.metrics.items()
        )
        loss = "n/a" if record.loss is None else format(record.loss, ".4f")
        self.stage(
            f"epoch {record.epoch:>{len(str(self._epochs))}}/{self._epochs}  loss {loss}  {metrics}  "
            f"{record.images_per_second:.1f} images/s  {record.seconds:.0f} s{'  best' if best else ''}"
        )

    def close(self) -> None:
        """Remove the bar."""
        if self._bars is not None:
            self._bars.stop()
        self._bars, self._bar, self._stage = None, None, ""

    def _open(self, stage: str, total: int, unit: str, done: int = 0) -> None:
        self.close()
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]:.1f} " + unit + "  ETA"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        self._bar = self._bars.add_task(stage, total=total, completed=done, rate=0.0)
        self._stage, self._began, self._done, self._first = stage, time.perf_counter(), done, done
        self._bars.start()

    def _advance(self, done: int, items: int = 1) -> None:
        if self._bars is not None and self._bar is not None:
            self._done = done
            rate = (done - self._first) * items / max(time.perf_counter() - self._began, 1e-9)
            self._bars.update(self._bar, completed=done, rate=rate)


@contextmanager
def closing_reporter(reporter: Reporter) -> Iterator[Reporter]:
    """Close ``reporter`` whatever happens in the block."""
    try:
        yield reporter
    finally:
        reporter.close()
