"""Kill a small run at seeded points, look at what it left, let it go on, and compare the bytes.

    python ai/scripts/kill_test.py --points 40 --seed 1

A point is a moment before an optimiser step, before a change of a file in the run's, the model or
the docs folder, or at either end of an export or a parity check; every fourth point is a moment of
the clock instead. At each one a child process that runs the real pipeline dies by SIGKILL.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from rich.console import Console
from rich.table import Table

from vmaf_train import pipeline
from vmaf_train.config import TaskConfig
from vmaf_train.config_files import find_config_file, load_config
from vmaf_train.discovery import load_task
from vmaf_train.files import sha256_file
from vmaf_train.pipeline import RunPaths
from vmaf_train.registry import REGISTRY_NAME
from vmaf_train.report import SilentReporter
from vmaf_train.task import TaskPlugin
from vmaf_train.verify import verify_problems

__all__ = ["CLOCK", "Outcome", "Subject", "kill_test", "outcome_table"]

_WIDTH = 110
CLOCK = "any moment of the clock"
_BETWEEN = "between model and registry"
_SMALL = (
    *("fit.epochs=3", "fit.batch_size=2", "fit.threads=1", "data.embedded.pairs=12", "gate.min_value=0"),
    *("augmentation.short_side=32", "augmentation.crop=32", "validation.size=32", "validation.share=0.25"),
)


@dataclass(frozen=True)
class Subject:
    """What is run: a task with its config, and a model that is registered before it."""

    plugin: TaskPlugin[Any]
    config: TaskConfig
    standing: tuple[TaskPlugin[Any], TaskConfig]


@dataclass(frozen=True)
class Outcome:
    """What a kill left and what the resumed run made of it.

    Attributes:
        stage: where the kill fell.
        killed: whether the child died by SIGKILL; a moment of the clock may come after its end.
        state: ``old``, ``new``, or what was wrong with the model and docs folders after ``verify``.
        equal: whether the resumed run was published with the reference's bytes and agrees.
    """

    stage: str
    killed: bool
    state: str
    equal: bool


class _Points(SilentReporter):
    """Counts the points of a run by stage, and dies at one of them."""

    def __init__(self, root: Path, model_id: str, die_at: int) -> None:
        self.root, self.model, self.left = os.fspath(root), f"{model_id}.onnx", die_at
        self.seen: list[str] = []
        self.placing = "publication, staging"

    def reach(self, stage: str) -> None:
        self.seen.append(stage)
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def step(self, epoch: int, loss: float) -> None:  # noqa: ARG002
        self.reach("training, a step")

    def around(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.reach("export and parity")
            result = work(*arguments, **options)
            self.reach("export and parity")
            return result

        return call

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        writes = (
            event == "open" and isinstance(arguments[0], str) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        )
        if not writes and event not in {"os.rename", "os.remove", "os.rmdir", "os.mkdir"}:
            return
        path = os.fspath(arguments[1] if event == "os.rename" else arguments[0])
        if not isinstance(path, str) or not path.startswith(self.root):
            return
        place = Path(path).relative_to(self.root)
        if place.parts[:1] == ("run",):
            self.reach("checkpoint" if "checkpoints" in place.parts else "run folder")
            return
        self.reach(self.placing)
        if event == "os.rename" and place.name == self.model:
            self.placing = _BETWEEN
        elif event == "os.rename" and place.name == REGISTRY_NAME:
            self.placing = "after the registry"


def _places(root: Path) -> RunPaths:
    return RunPaths(root / "run", root / "models", root / "docs")


def _in_child(work: Callable[[], None]) -> int:
    """Run ``work`` in a forked child; return the child's process id."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _run(subject: Subject, root: Path, *, die_at: int = 0, resume: bool = False) -> None:
    """Run the subject in this process, which is a child, and write the points that it passed."""
    points = _Points(root, subject.config.id, die_at)
    for name in ("export_onnx", "check_parity"):
        setattr(pipeline, name, points.around(getattr(pipeline, name)))
    sys.addaudithook(points.audit)
    pipeline.run(subject.plugin, subject.config, _places(root), resume=resume, reporter=points)
    points.root = "none"
    root.with_suffix(".points").write_text("\n".join(points.seen), encoding="utf-8")


def _published(root: Path) -> dict[str, bytes]:
    """Every file of the model and docs folders but their lock."""
    files = [path for name in ("models", "docs") for path in (root / name).rglob("*") if path.is_file()]
    return {os.fspath(path.relative_to(root)): path.read_bytes() for path in files if "lock" not in path.name}


def _chosen(stages: Sequence[str], points: int, seed: int) -> list[int]:
    """Numbers of points from 1, seeded: as many of each stage as can be, the rest from all."""
    stream = random.Random(seed)
    by_stage = [
        [number for number, at in enumerate(stages, 1) if at == stage] for stage in dict.fromkeys(stages)
    ]
    for numbers in by_stage:
        stream.shuffle(numbers)
    chosen: list[int] = []
    while len(chosen) < points and any(by_stage):
        for numbers in by_stage:
            if numbers and len(chosen) < points:
                chosen.append(numbers.pop())
    return sorted(chosen)


def kill_test(
    subject: Subject, work: Path, points: int, seed: int, say: Callable[[str], object]
) -> list[Outcome]:
    """Return an outcome for each of ``points`` kills; ``work`` is an empty folder to do it in.

    Raises:
        RuntimeError: the run does not come to its end even when nobody kills it.
    """
    start, whole = work / "start", work / "whole"
    plugin, config = subject.standing
    pipeline.run(plugin, config, _places(start))
    shutil.rmtree(start / "run")
    shutil.copytree(start, whole)
    began = time.perf_counter()
    if _ended(_in_child(lambda: _run(subject, whole))) != 0 or verify_problems(
        whole / "models", whole / "docs"
    ):
        raise RuntimeError("the run that nobody kills fails")
    seconds = time.perf_counter() - began
    stages = whole.with_suffix(".points").read_text(encoding="utf-8").split("\n")
    say(f"{len(stages)} points in a run of {seconds:.1f} s, seed {seed}")
    model = f"{subject.config.id}.onnx"
    digest = sha256_file(whole / "models" / model)
    old, new = _published(start), set(_published(whole))
    by_clock = points // 4
    moments = random.Random(seed + 1)
    plan: list[tuple[str, int, float]] = [
        (stages[number - 1], number, 0.0) for number in _chosen(stages, points - by_clock, seed)
    ]
    plan += [(CLOCK, 0, moments.random() * seconds) for _ in range(by_clock)]
    outcomes = []
    for count, (stage, number, moment) in enumerate(plan, 1):
        root = work / f"point{count}"
        shutil.copytree(start, root)
        child = _in_child(lambda root=root, number=number: _run(subject, root, die_at=number))  # type: ignore[misc]
        if not number:
            time.sleep(moment)
            os.kill(child, signal.SIGKILL)
        killed = _ended(child) == -signal.SIGKILL
        problems = verify_problems(root / "models", root / "docs")
        left = _published(root)
        state = "old" if left == old else "new" if set(left) == new else "neither"
        state = "; ".join(problems) or state
        ended = _ended(_in_child(lambda root=root: _run(subject, root, resume=True)))  # type: ignore[misc]
        equal = (
            ended == 0
            and not verify_problems(root / "models", root / "docs")
            and set(_published(root)) == new
            and sha256_file(root / "models" / model) == digest
        )
        outcomes.append(Outcome(stage, killed, state, equal))
        resumed = "byte-equal" if equal else "NOT EQUAL"
        say(f"{count}/{len(plan)} {stage}: left {state}, {resumed} when resumed")
        shutil.rmtree(root)
    return outcomes


def outcome_table(outcomes: Sequence[Outcome]) -> Table:
    """Return the outcomes counted by stage."""
    columns = ("killed in", "points", "left old", "left new", "verified", "byte-equal when resumed")
    table = Table(*columns, box=None, pad_edge=False)
    for stage in (*dict.fromkeys(outcome.stage for outcome in outcomes), "all"):
        rows = [outcome for outcome in outcomes if stage in {outcome.stage, "all"}]
        states = Counter(outcome.state for outcome in rows)
        equal = sum(outcome.equal for outcome in rows)
        counts = (len(rows), states["old"], states["new"], states["old"] + states["new"], equal)
        table.add_row(stage, *map(str, counts))
    return table


def main() -> NoReturn:
    """Run the test, print the table and leave with 0 if every point held."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--points", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    flags = parser.parse_args()
    # Children are forked from this process, so it must not start threads of its own.
    torch.set_num_threads(1)
    student, standing = load_task("saliency_student"), load_task("mobilesal_placeholder")
    config = load_config(student.config_type, find_config_file("smoke"), _SMALL)
    subject = Subject(student, config, (standing, standing.config_type()))
    console = Console(width=_WIDTH)
    with tempfile.TemporaryDirectory() as work:
        outcomes = kill_test(subject, Path(work), flags.points, flags.seed, console.print)
    console.print(outcome_table(outcomes))
    good = all(outcome.state in {"old", "new"} and outcome.equal for outcome in outcomes)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
