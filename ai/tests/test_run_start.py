"""A run that goes on claims and says no more of itself than is known."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toy import (
    SignalAt,
    Told,
    ToyConfig,
    fit_toy,
    with_identity,
)
from vmaf_train.checkpoint import load_checkpoint
from vmaf_train.environment import EnvironmentRecord, TrainingPart
from vmaf_train.hardware import choose_hardware, environment_record
from vmaf_train.interruption import Stopped, stop_signals

CHECKPOINTS = sorted((Path(__file__).parents[2] / "build_artifacts" / "checkpoints").glob("*/*.pt"))


def test_a_finished_run_that_is_only_published_again_was_not_taken_up_again(tmp_path: Path) -> None:
    fit_toy(tmp_path)
    said = Told()
    assert fit_toy(tmp_path, resume=True, say=said).record.resumed_at == ()
    assert said.lines == ["fit: all 2 epochs are done"]
    assert fit_toy(tmp_path, "fit.epochs=3", "schedule.restarts=[2]", resume=True).record.resumed_at == (2,)


def test_a_resumption_that_finds_nothing_says_that_it_starts_anew(tmp_path: Path) -> None:
    said = Told()
    fit_toy(tmp_path, resume=True, say=said)
    assert said.lines == [f"fit: nothing to go on with in {tmp_path}, starts anew"]


@pytest.fixture
def move(monkeypatch: pytest.MonkeyPatch) -> Callable[..., EnvironmentRecord]:
    """Lets what follows be trained in an environment with the given values."""

    def elsewhere(**values: Any) -> EnvironmentRecord:
        def record(*given: Any) -> EnvironmentRecord:
            return environment_record(*given).model_copy(update=values)

        monkeypatch.setattr("vmaf_train.run_start.environment_record", record)
        return record(choose_hardware(ToyConfig().fit))

    return elsewhere


@pytest.mark.usefixtures("own_handlers")
def test_a_run_that_goes_on_elsewhere_tells_each_part_and_claims_no_equal_bytes(
    tmp_path: Path, move: Callable[..., EnvironmentRecord]
) -> None:
    def until(step: int, *, resume: bool) -> None:
        with stop_signals() as stop, pytest.raises(Stopped):
            fit_toy(tmp_path, "fit.epochs=3", say=SignalAt(step, signal.SIGINT), stop=stop, resume=resume)

    first = move(processor="first", threads=2, commit="0123456789ab", code="c1")
    until(1, resume=False)
    second = move(processor="second", threads=3, commit="0123456789ab", code="c1")
    until(4, resume=True)
    until(1, resume=True)
    move(processor="first", threads=2, commit="ba9876543210", code="c2")
    said = Told()
    record = fit_toy(tmp_path, "fit.epochs=3", resume=True, say=said).record
    assert record.parts == (
        TrainingPart(epochs=0, step=1, environment=first),
        TrainingPart(epochs=1, step=3, environment=second),
    )
    assert [part.end for part in record.parts] == ["step 1 of epoch 1", "step 3 of epoch 2"]
    assert not record.byte_reproducible
    assert said.lines == [
        "fit: goes on after epoch 1, step 3",
        "fit: was trained in another environment before (commit 0123456789ab -> ba9876543210, "
        "code c1 -> c2, processor second -> first, threads 3 -> 2); "
        "the record says so, and equal bytes are not promised",
    ]
    # In one place from here on: the claim stays lost.
    again = fit_toy(tmp_path, "fit.epochs=4", "schedule.restarts=[3]", resume=True).record
    assert (again.parts, again.byte_reproducible) == (record.parts, False)


def test_a_run_whose_beginning_is_not_recorded_says_so_and_claims_no_equal_bytes(tmp_path: Path) -> None:
    fit_toy(tmp_path)
    with_identity(tmp_path / "checkpoints" / "epoch_000002.pt", lambda identity: identity.pop("facts"))
    said = Told()
    longer = ("fit.epochs=3", "schedule.restarts=[2]")
    record = fit_toy(tmp_path, *longer, resume=True, say=said).record
    assert (record.parts, record.byte_reproducible) == ((TrainingPart(epochs=2),), False)
    assert "fit: where it was trained before is not recorded" in said.lines[1]
    kept = load_checkpoint(tmp_path / "checkpoints" / "epoch_000003.pt")
    assert json.loads(kept["identity"])["facts"]["earlier"] == [{"epochs": 2, "step": 0, "environment": None}]
