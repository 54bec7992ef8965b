"""A run that begins with the weights of an earlier one, and what its card says of that."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from toy import ToyConfig, ToyNet, ToyTask, fit_toy, toy_plugin, weights
from vmaf_train.checkpoint import load_checkpoint
from vmaf_train.config import config_digest, load_config
from vmaf_train.errors import ConfigError
from vmaf_train.files import sha256_file
from vmaf_train.initial_weights import load_initial_weights
from vmaf_train.model_card import render_card, render_page
from vmaf_train.pipeline import RunPaths, run
from vmaf_train.run_record import InitialRecord, RunRecord
from vmaf_train.task import TaskPlugin
from vmaf_train.verify import verify_problems


@dataclass
class SplitToyTask(ToyTask):
    """A toy that knows which samples a run held out: those of its seed."""

    def holds_out_as(self, recorded: Mapping[str, Any]) -> bool:
        return bool(recorded["fit"]["seed"] == self.config.fit.seed)


SPLIT_TOY = TaskPlugin(name="toy", summary="", config_type=ToyConfig, create=SplitToyTask)


def begun(source: Path) -> str:
    return f"fit.initial={source}"


def run_toy(root: Path, *changes: str, plugin: TaskPlugin[ToyConfig] | None = None) -> RunRecord:
    config = load_config(ToyConfig, None, changes)
    paths = RunPaths(root / f"run_{config.id}", root / "models", root / "docs")
    return run(plugin or SPLIT_TOY, config, paths)


def initial_of(record: RunRecord) -> InitialRecord:
    assert record.training.initial is not None
    return record.training.initial


def test_the_weights_taken_are_those_of_the_best_epoch_and_its_running_means(tmp_path: Path) -> None:
    earlier = fit_toy(tmp_path, "fit.epochs=4", "fit.ema_decay=0.5")
    network = ToyNet()
    path, values = load_initial_weights(tmp_path, network)
    assert path == tmp_path / "checkpoints" / "epoch_000004.pt"
    assert values["epoch"] == 4
    taken = {name: tensor.numpy().tobytes() for name, tensor in network.state_dict().items()}
    assert taken == weights(earlier)


def test_a_run_goes_on_from_them_and_is_the_same_from_the_file_and_from_the_folder(tmp_path: Path) -> None:
    fit_toy(tmp_path / "first", "fit.epochs=3")
    slow = ("fit.epochs=1", "optimiser.lr=1e-9")
    file = tmp_path / "elsewhere.pt"
    shutil.copy(tmp_path / "first" / "checkpoints" / "epoch_000003.pt", file)
    network = ToyNet()
    load_initial_weights(file, network)
    tuned = fit_toy(tmp_path / "tuned", begun(file), *slow)
    for name, weight in tuned.network.named_parameters():
        assert torch.allclose(weight, network.state_dict()[name], atol=1e-6), name
    again = fit_toy(tmp_path / "again", begun(tmp_path / "first"), *slow)
    assert weights(again) == weights(tuned)
    assert weights(fit_toy(tmp_path / "fresh", *slow)) != weights(tuned)


def test_a_run_so_begun_resumes_to_the_bytes_of_the_straight_one(tmp_path: Path) -> None:
    fit_toy(tmp_path / "first")
    longer = (begun(tmp_path / "first"), "fit.epochs=4", "schedule.restarts=[2]", "fit.ema_decay=0.9")
    straight = fit_toy(tmp_path / "straight", *longer)
    fit_toy(tmp_path / "parts", begun(tmp_path / "first"), "fit.epochs=2", "fit.ema_decay=0.9")
    resumed = fit_toy(tmp_path / "parts", *longer, resume=True)
    assert weights(resumed) == weights(straight)
    assert resumed.record.initial == straight.record.initial


def test_resuming_with_other_initial_weights_is_refused(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("two", 2)):
        fit_toy(tmp_path / name, seed=seed)
    fit_toy(tmp_path / "tuned", begun(tmp_path / "one"))
    before, after = (
        sha256_file(tmp_path / name / "checkpoints" / "epoch_000002.pt") for name in ("one", "two")
    )
    with pytest.raises(ConfigError, match=f"found fit.initial: '{before}' -> '{after}'; "):
        fit_toy(tmp_path / "tuned", begun(tmp_path / "two"), resume=True)
    with pytest.raises(ConfigError, match=f"found fit.initial: '{before}' -> None; "):
        fit_toy(tmp_path / "tuned", resume=True)


def test_the_record_names_the_earlier_run_and_no_path(tmp_path: Path) -> None:
    first = run_toy(tmp_path, "id=first", "fit.epochs=3")
    record = run_toy(tmp_path, "id=second", begun(tmp_path / "run_first"))
    initial = initial_of(record)
    checkpoint = tmp_path / "run_first" / "checkpoints" / "epoch_000003.pt"
    assert initial.checkpoint_sha256 == sha256_file(checkpoint)
    assert (initial.id, initial.epochs, initial.config) == ("first", 3, first.config)
    assert (initial.best_epoch, initial.seconds) == (first.training.best_epoch, first.training.seconds)
    best = first.training.history[initial.best_epoch - 1]
    assert initial.value == best.metrics[initial.metric]
    assert initial.held_out == "same"
    assert str(tmp_path) not in record.model_dump_json()
    assert record.config_digest == config_digest(load_config(ToyConfig, None, ("id=second",)))
    assert verify_problems(tmp_path / "models", tmp_path / "docs") == []


def test_a_chain_of_runs_is_told_whole_with_a_command_for_each(tmp_path: Path) -> None:
    run_toy(tmp_path, "id=first", "fit.epochs=3")
    run_toy(tmp_path, "id=second", begun(tmp_path / "run_first"), "optimiser.lr=0.01")
    record = run_toy(tmp_path, "id=third", begun(tmp_path / "run_second"))
    assert initial_of(record).id == "second"
    assert record.reproducer.split("\n") == [
        "vmaf-train run toy --set 'id=\"first\"' --set fit.epochs=3"
        " --run-dir RUN1 --model-dir MODEL1 --docs-dir DOCS1",
        "vmaf-train run toy --set 'id=\"second\"' --set optimiser.lr=0.01 --set fit.initial=RUN1"
        " --run-dir RUN2 --model-dir MODEL2 --docs-dir DOCS2",
        "vmaf-train run toy --set 'id=\"third\"' --set fit.initial=RUN2",
    ]
    for text in (render_card(record), render_page(record)):
        assert text.index("a run before it, `second`") < text.index("an earlier run, `first`")
        assert initial_of(record).checkpoint_sha256 in text
        assert text.count("none of those measured here was ever trained on") == 2


def test_weights_that_saw_samples_held_out_here_are_refused(tmp_path: Path) -> None:
    fit_toy(tmp_path / "run_first", task=SplitToyTask(load_config(ToyConfig, None, ("fit.seed=1",))))
    with pytest.raises(ConfigError, match="trained on none of the samples held out here, found a run"):
        run_toy(tmp_path, "fit.seed=2", begun(tmp_path / "run_first"))
    assert not (tmp_path / "models").exists() or not list((tmp_path / "models").glob("*.onnx"))


def test_where_it_is_not_known_what_was_held_out_the_card_says_so(tmp_path: Path) -> None:
    run_toy(tmp_path, "id=first")
    elsewhere = SplitToyTask(load_config(ToyConfig, None, ()), digest="1" * 64)
    other_data = fit_toy(tmp_path / "other", task=elsewhere)
    assert other_data.record.initial is None
    silent = run_toy(tmp_path, "id=silent", begun(tmp_path / "run_first"), plugin=toy_plugin())
    other = run_toy(tmp_path, "id=other", begun(tmp_path / "other"))
    for record in (silent, other):
        assert initial_of(record).held_out == "unknown"
        assert "**It is not known whether that run trained on" in render_card(record)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"best_weights": {}}, "at least one whole epoch, found none"),
        ({"best_weights": None}, "at least one whole epoch, found none"),
        ({"best_weights": {"first.weight": "text"}}, "first.weight of shape none instead of"),
        ({"identity": "{}"}, "a whole checkpoint, found 'config'"),
        ({"identity": "no JSON"}, "a whole checkpoint, found Expecting value"),
        ({"best_value": math.nan}, "a whole checkpoint, found a best value of nan"),
        ({"epoch": 0}, "a whole checkpoint"),
        ({"seconds": "long"}, "a whole checkpoint"),
    ],
)
def test_a_checkpoint_that_cannot_be_begun_with_is_one_line(
    tmp_path: Path, change: dict[str, Any], named: str
) -> None:
    fit_toy(tmp_path / "first")
    file = tmp_path / "first" / "checkpoints" / "epoch_000002.pt"
    torch.save(load_checkpoint(file) | change, file)
    with pytest.raises(ConfigError, match=named) as caught:
        fit_toy(tmp_path / "tuned", begun(file))
    assert "\n" not in str(caught.value)


def test_weights_of_another_network_are_refused_before_the_data_is_read(tmp_path: Path) -> None:
    fit_toy(tmp_path / "first")
    wide = torch.nn.Sequential(torch.nn.Conv2d(3, 1, 1))
    plugin = toy_plugin(network=lambda: wide, train=None)
    for source, named in ((tmp_path / "first", "0.weight of shape none"), (tmp_path / "no", "found none")):
        with pytest.raises(ConfigError, match=named):
            run_toy(tmp_path, begun(source), plugin=plugin)
    assert not (tmp_path / "run_toy_v1").exists()


def test_an_identity_with_a_chain_reads_back_from_json(tmp_path: Path) -> None:
    fit_toy(tmp_path / "first")
    fit_toy(tmp_path / "second", begun(tmp_path / "first"))
    record = fit_toy(tmp_path / "third", begun(tmp_path / "second")).record
    assert record.initial is not None
    assert record.initial.initial is not None
    kept = load_checkpoint(tmp_path / "third" / "checkpoints" / "epoch_000002.pt")["identity"]
    assert InitialRecord.model_validate(json.loads(kept)["initial"]) == record.initial
