"""A checkpoint goes on as the run that it is of, or is refused in one line."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

import vmaf_train
from toy import (
    ToyConfig,
    ToyTask,
    fit_toy,
    with_identity,
)
from vmaf_train.checkpoint import load_checkpoint
from vmaf_train.config_files import load_config
from vmaf_train.errors import ConfigError
from vmaf_train.hardware import choose_hardware, environment_record
from vmaf_train.ranks import Ranks
from vmaf_train.training_state import carried_claims, compared, require_one_run, run_identity

CHECKPOINTS = sorted((Path(__file__).parents[2] / "build_artifacts" / "checkpoints").glob("*/*.pt"))


@pytest.mark.parametrize(
    ("change", "named"),
    [("optimiser.lr=0.01", "optimiser.lr: 0.05 -> 0.01"), ("fit.epochs=9", "fit.epochs: 4 -> 9")],
)
def test_resuming_with_another_config_is_refused_with_the_difference(
    tmp_path: Path, change: str, named: str
) -> None:
    fit_toy(tmp_path, "fit.epochs=4")
    with pytest.raises(ConfigError, match=named):
        fit_toy(tmp_path, "fit.epochs=4", change, resume=True)


def test_resuming_on_other_data_is_refused(tmp_path: Path) -> None:
    fit_toy(tmp_path)
    config = load_config(ToyConfig, None, ("fit.seed=1",))
    with pytest.raises(ConfigError, match="data_digest"):
        fit_toy(tmp_path, task=ToyTask(config, digest="1" * 64), resume=True)


def test_resuming_with_other_samples_held_out_of_the_same_data_is_refused(tmp_path: Path) -> None:
    config = load_config(ToyConfig, None, ("fit.seed=1",))
    first, second = "1" * 64, "2" * 64
    fit_toy(tmp_path, task=ToyTask(config, held_out=first))
    with pytest.raises(ConfigError, match=f"held_out: '{first}' -> '{second}'"):
        fit_toy(tmp_path, task=ToyTask(config, held_out=second), resume=True)
    # One side that does not know has nothing to compare.
    fit_toy(tmp_path, resume=True)
    fit_toy(tmp_path / "unknown")
    fit_toy(tmp_path / "unknown", task=ToyTask(config, held_out=second), resume=True)


def test_processes_that_hold_out_other_samples_cannot_share_a_run() -> None:
    @dataclass(frozen=True)
    class Two(Ranks):
        size: int = 2

        def gather(self, value: Any) -> list[Any]:
            return [value, {**value, "held_out": "2" * 64}]

    config = load_config(ToyConfig)
    task = ToyTask(config, held_out="1" * 64)
    identity = run_identity(config, task.load_data(lambda *_: None), task, 1)
    with pytest.raises(ConfigError, match=r"the processes of the run: .* found held_out: '11+' -> '22+'"):
        require_one_run(Two(), config, task, compared(identity))


def test_resuming_with_another_version_is_refused_where_the_checkpoint_knows_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_toy(tmp_path)
    version = vmaf_train.__version__
    monkeypatch.setattr(vmaf_train, "__version__", "99.0")
    with pytest.raises(ConfigError, match=f"code.vmaf_train: '{version}' -> '99.0'"):
        fit_toy(tmp_path, resume=True)
    with_identity(tmp_path / "checkpoints" / "epoch_000002.pt", lambda identity: identity.pop("code"))
    assert len(fit_toy(tmp_path, resume=True).record.history) == 2


def test_a_run_goes_on_with_another_torch_where_it_is_asked_to_and_its_record_tells_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit_toy(tmp_path)
    version = torch.__version__
    monkeypatch.setattr(torch, "__version__", "99.0")
    with pytest.raises(ConfigError, match=rf"torch: '{re.escape(version)}' -> '99.0'.*fit.other_torch=true"):
        fit_toy(tmp_path, resume=True)
    with pytest.raises(ConfigError, match=r"found config.optimiser.lr: \S+ -> 0.5;"):
        fit_toy(tmp_path, "fit.other_torch=true", "optimiser.lr=0.5", resume=True)
    record = fit_toy(tmp_path, "fit.other_torch=true", resume=True).record
    (part,) = record.parts
    assert part.environment is not None
    assert (part.epochs, part.environment.torch) == (len(record.history), version)
    assert not record.byte_reproducible


@pytest.mark.parametrize("checkpoint", CHECKPOINTS, ids=lambda path: path.parent.name)
def test_what_the_shipped_checkpoints_claim_can_be_read(checkpoint: Path) -> None:
    values = load_checkpoint(checkpoint)
    environment = environment_record(choose_hardware(ToyConfig().fit)).model_copy(update={"threads": 99})
    sure, parts, moved = carried_claims(checkpoint, values, environment)
    assert (sure, moved, parts[-1].epochs) == (False, True, values["epoch"])


def test_a_setting_that_did_not_exist_when_the_run_began_does_not_stop_its_resumption(
    tmp_path: Path,
) -> None:
    fit_toy(tmp_path, "fit.epochs=2")
    path = tmp_path / "checkpoints" / "epoch_000002.pt"
    state = load_checkpoint(path)
    identity = json.loads(state["identity"])
    del identity["config"]["fit"]["gradient_clip"]
    torch.save(state | {"identity": json.dumps(identity)}, path)
    assert len(fit_toy(tmp_path, "fit.epochs=2", resume=True).record.history) == 2
    with pytest.raises(ConfigError, match=r"fit.gradient_clip: 0.0 -> 1.0"):
        fit_toy(tmp_path, "fit.epochs=2", "fit.gradient_clip=1.0", resume=True)


@pytest.mark.parametrize(
    "change",
    [
        *({name: ...} for name in ("optimiser", "identity", "network", "best_weights", "history", "steps")),
        *({"identity": text} for text in ("", "[]", "null", "[" * 100_000)),
        *({"steps": value} for value in (-1, "6", 6.0, None, True)),
        {"best_weights": {"first.weight": torch.zeros(1)}},
        {"best_weights": []},
        {"best_epoch": 7},
        {"seconds": None},
        {"history": ["{}"]},
        {"history": []},
        {"resumed_at": ["x"]},
        {"position": {"step": "1"}},
        {"position": {"unknown": 1}},
        {"position": {"random": ["text"]}},
        {"position": {"random": [torch.zeros(5056)]}},
        {"position": {"random": [torch.zeros(7, dtype=torch.uint8)]}},
        {"position": {"random": [torch.get_rng_state()] * 3}},
        {"position": [1]},
        {"network": {"first.weight": "text"}},
        {"optimiser": {"state": {}, "param_groups": []}},
    ],
    ids=lambda change: str(change)[:40],
)
def test_a_checkpoint_that_lacks_a_part_or_holds_another_stops_the_run_in_one_line(
    tmp_path: Path, change: dict[str, object], whole_run: Path
) -> None:
    path = tmp_path / "checkpoints" / "epoch_000002.pt"
    path.parent.mkdir()
    state = load_checkpoint(whole_run / "checkpoints" / path.name) | change
    torch.save({name: value for name, value in state.items() if value is not ...}, path)
    require_refused(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"exp_avg": torch.zeros(2)},
        {"exp_avg_sq": torch.zeros(4, 3, 3)},
        {"step": torch.zeros(3)},
        {"exp_avg": ...},
        {"exp_avg": 1.0},
    ],
    ids=str,
)
def test_moments_of_another_form_stop_the_run_in_one_line(
    tmp_path: Path, change: dict[str, object], whole_run: Path
) -> None:
    path = tmp_path / "checkpoints" / "epoch_000002.pt"
    path.parent.mkdir()
    state = load_checkpoint(whole_run / "checkpoints" / path.name)
    moments = state["optimiser"]["state"][0] | change
    state["optimiser"]["state"][0] = {name: value for name, value in moments.items() if value is not ...}
    torch.save(state, path)
    require_refused(tmp_path)


def require_refused(run_dir: Path) -> None:
    """In one line, before the first step."""
    with pytest.raises(ConfigError, match=r"a whole checkpoint of this run|the same config") as error:
        fit_toy(run_dir, resume=True)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = tmp_path_factory.mktemp("whole")
    fit_toy(run_dir)
    return run_dir
