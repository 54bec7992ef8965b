"""A run that begins with the weights of an earlier one, and what its card says of that."""

from __future__ import annotations

import json
import math
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import Field

from records import with_changes
from toy import ToyConfig, ToyNet, ToyTask, fit_toy, toy_plugin, weights, with_identity
from vmaf_train.checkpoint import load_checkpoint
from vmaf_train.config import MACHINE_ONLY, Section
from vmaf_train.config_files import load_config
from vmaf_train.config_record import config_digest
from vmaf_train.errors import ConfigError
from vmaf_train.files import sha256_file
from vmaf_train.initial_weights import load_initial_weights
from vmaf_train.model_card import render_card, render_page
from vmaf_train.pipeline import RunPaths, run
from vmaf_train.registry import load_registry
from vmaf_train.reproducer import reproducer_command
from vmaf_train.run_record import DataRecord, InitialRecord, RunRecord
from vmaf_train.task import TaskPlugin
from vmaf_train.verify import verify_problems

SAME, OTHER = "a" * 64, "b" * 64
"""Digests of two ways to hold samples out."""

TOY = toy_plugin(held_out=SAME)


class FolderSection(Section):
    """Where the samples lie."""

    root: Path | None = Field(default=None, json_schema_extra=MACHINE_ONLY)
    extra_roots: tuple[Path, ...] = Field(default=(), json_schema_extra=MACHINE_ONLY)


class FolderConfig(ToyConfig):
    """A toy with data folders."""

    data: FolderSection = FolderSection()


def begun(source: Path) -> str:
    return f"fit.initial={source}"


def run_toy(root: Path, *changes: str, plugin: TaskPlugin[ToyConfig] | None = None) -> RunRecord:
    config = load_config(ToyConfig, None, changes)
    paths = RunPaths(root / f"run_{config.id}", root / "models", root / "docs")
    return run(plugin or TOY, config, paths)


def initial_of(record: RunRecord) -> InitialRecord:
    assert record.training.initial is not None
    return record.training.initial


def test_the_weights_taken_are_those_of_the_best_epoch_and_its_running_means(tmp_path: Path) -> None:
    earlier = fit_toy(tmp_path, "fit.epochs=4", "fit.ema_decay=0.5")
    network = ToyNet()
    told = load_initial_weights(tmp_path, network, ToyConfig)
    assert told.checkpoint_sha256 == sha256_file(tmp_path / "checkpoints" / "epoch_000004.pt")
    assert told.epochs == 4
    taken = {name: tensor.numpy().tobytes() for name, tensor in network.state_dict().items()}
    assert taken == weights(earlier)


def test_a_run_goes_on_from_them_and_is_the_same_from_the_file_and_from_the_folder(tmp_path: Path) -> None:
    fit_toy(tmp_path / "first", "fit.epochs=3")
    slow = ("fit.epochs=1", "optimiser.lr=1e-9")
    file = tmp_path / "elsewhere.pt"
    shutil.copy(tmp_path / "first" / "checkpoints" / "epoch_000003.pt", file)
    network = ToyNet()
    load_initial_weights(file, network, ToyConfig)
    tuned = fit_toy(tmp_path / "tuned", begun(file), *slow)
    for name, weight in tuned.network.named_parameters():
        assert torch.allclose(weight, network.state_dict()[name], atol=1e-6), name
    again = fit_toy(tmp_path / "again", begun(tmp_path / "first"), *slow)
    assert weights(again) == weights(tuned)
    assert weights(fit_toy(tmp_path / "fresh", *slow)) != weights(tuned)


def test_a_chain_that_a_loader_could_not_read_is_refused_before_training(tmp_path: Path) -> None:
    fit_toy(tmp_path / "0", "fit.epochs=1")
    path = tmp_path / "0" / "checkpoints" / "epoch_000001.pt"
    record = load_initial_weights(path, ToyNet(), ToyConfig)
    for length in range(2, 18):
        told = {"initial": record.model_dump(mode="json")}
        with_identity(path, partial(dict.update, **told))
        if length <= 16:
            record = load_initial_weights(path, ToyNet(), ToyConfig)
            assert len(record.chain) == length
            continue
        with pytest.raises(ConfigError, match="a chain of at most 16 runs, found 17"):
            load_initial_weights(path, ToyNet(), ToyConfig)


def test_a_run_so_begun_resumes_to_the_bytes_of_the_straight_one(tmp_path: Path) -> None:
    fit_toy(tmp_path / "first")
    longer = (begun(tmp_path / "first"), "fit.epochs=4", "schedule.restarts=[2]", "fit.ema_decay=0.9")
    straight = fit_toy(tmp_path / "straight", *longer)
    fit_toy(tmp_path / "parts", begun(tmp_path / "first"), "fit.epochs=2", "fit.ema_decay=0.9")
    resumed = fit_toy(tmp_path / "parts", *longer, resume=True)
    assert weights(resumed) == weights(straight)
    assert resumed.record.initial == straight.record.initial


def test_resuming_needs_the_initial_weights_no_more_but_takes_no_others(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("two", 2)):
        fit_toy(tmp_path / name, seed=seed)
    first, second = (tmp_path / name / "checkpoints" / "epoch_000002.pt" for name in ("one", "two"))
    told = fit_toy(tmp_path / "tuned", begun(first)).record.initial
    assert told is not None
    with pytest.raises(
        ConfigError, match=f"SHA-256 {sha256_file(first)}, found SHA-256 {sha256_file(second)}"
    ):
        fit_toy(tmp_path / "tuned", begun(second), resume=True)
    fit_toy(tmp_path / "plain")
    for source in (first, tmp_path / "one"):
        with pytest.raises(ConfigError, match=r"expected no fit\.initial, found"):
            fit_toy(tmp_path / "plain", begun(source), resume=True)
    # The earlier run goes on, and its checkpoint of that time is gone.
    fit_toy(tmp_path / "one", "fit.epochs=6", "schedule.restarts=[2]", resume=True)
    assert not first.exists()
    for words in ((begun(tmp_path / "one"),), (begun(first),), ()):
        assert fit_toy(tmp_path / "tuned", *words, resume=True).record.initial == told


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


def test_equal_bytes_are_promised_only_where_the_earlier_run_ended_on_this_machine(tmp_path: Path) -> None:
    first, tuned = tmp_path / "first", tmp_path / "tuned"
    fit_toy(first)
    assert fit_toy(tuned, begun(first)).record.byte_reproducible
    file = first / "checkpoints" / "epoch_000002.pt"
    values = load_checkpoint(file)
    changes: tuple[dict[str, Any], ...] = (
        {"facts.byte_reproducible": False},
        {"facts.environment": None},
        {"config.fit.epochs": 3},
    )
    for number, change in enumerate(changes):
        identity = with_changes(json.loads(values["identity"]), change)
        torch.save(values | {"identity": json.dumps(identity)}, file)
        assert not fit_toy(tmp_path / str(number), begun(first)).record.byte_reproducible


def test_a_chain_of_runs_is_told_whole_with_a_command_for_each(tmp_path: Path) -> None:
    run_toy(tmp_path, "id=first", "fit.epochs=3")
    run_toy(tmp_path, "id=second", begun(tmp_path / "run_first"), "optimiser.lr=0.01")
    record = run_toy(tmp_path, "id=third", begun(tmp_path / "run_second"))
    assert initial_of(record).id == "second"
    assert record.reproducer.split("\n") == [
        "vmaf-train run toy --set 'id=\"first\"' --set fit.epochs=3"
        " --run-dir RUN1 --model-dir RUN1MODEL --docs-dir RUN1DOCS",
        "vmaf-train run toy --set 'id=\"second\"' --set optimiser.lr=0.01 --set fit.initial=RUN1"
        " --run-dir RUN2 --model-dir RUN2MODEL --docs-dir RUN2DOCS",
        "vmaf-train run toy --set 'id=\"third\"' --set fit.initial=RUN2"
        " --model-dir NEWMODEL --docs-dir NEWDOCS",
    ]
    for text in (render_card(record), render_page(record)):
        assert text.index("It began with the best weights of an earlier run, `second`") < text.index(
            "That run began with the best weights of an earlier run, `first`"
        )
        assert initial_of(record).checkpoint_sha256 in text
        assert text.count("held out the same samples of the same data") == 2
        assert "random weights" not in text
        assert "may be too good" not in text


def test_a_run_of_its_own_says_that_it_began_with_random_weights(tmp_path: Path) -> None:
    assert "It began with random weights; no weights of others are in it." in render_card(run_toy(tmp_path))


def test_weights_that_saw_samples_held_out_here_are_refused_wherever_in_the_chain(tmp_path: Path) -> None:
    run_toy(tmp_path, "id=first", plugin=toy_plugin(held_out=OTHER))
    elsewhere = toy_plugin(held_out=SAME, digest="1" * 64)
    run_toy(tmp_path, "id=second", begun(tmp_path / "run_first"), plugin=elsewhere)
    for source in ("run_first", "run_second"):
        with pytest.raises(
            ConfigError, match="trained on none of the samples held out here, found a run, first"
        ):
            run_toy(tmp_path, "id=third", begun(tmp_path / source))
    assert not (tmp_path / "models" / "third.onnx").exists()


@pytest.mark.parametrize(
    "parts",
    [{"held_out": None}, {"held_out": SAME, "digest": "1" * 64}],
    ids=["names not told", "other data"],
)
def test_where_it_is_not_known_what_was_held_out_every_text_says_so(
    tmp_path: Path, parts: dict[str, Any]
) -> None:
    run_toy(tmp_path, "id=first", plugin=toy_plugin(**parts))
    run_toy(tmp_path, "id=second", begun(tmp_path / "run_first"))
    record = run_toy(tmp_path, "id=third", begun(tmp_path / "run_second"))
    assert [run.held_out for run in record.training.earlier] == ["same", "unknown"]
    for text in (render_card(record), render_page(record)):
        assert "**An earlier run, whose weights this one began with, may have been trained on" in text
        assert text.count("held out the same samples of the same data") == 1
        assert text.count("Whether it was trained on samples that are held out here is not known.") == 1
    entry = load_registry(tmp_path / "models").entry("third")
    assert entry is not None
    assert "may have seen them" in entry.notes


def test_the_settings_of_a_run_on_other_data_do_not_stand_for_this_ones_folders() -> None:
    config = load_config(FolderConfig, None, (), {"data.root": "A", "data.extra_roots": ["B"]})
    facts = {
        "checkpoint_sha256": SAME,
        "epochs": 1,
        "best_epoch": 1,
        "metric": "m",
        "value": 0.5,
        "seconds": 1.0,
    }
    data = DataRecord(corpora=(), train=1, val=1, split="", digest="1" * 64)

    def earlier(digest: str, folders: int | None) -> InitialRecord:
        told = {"id": "e", "config": {"id": "e"}, "data_digest": digest, "data_folders": folders}
        return InitialRecord.model_validate({**facts, **told, "held_out": "unknown"})

    plugin = TaskPlugin(name="toy", summary="", config_type=FolderConfig, create=ToyTask)
    for before, words in (
        (earlier("1" * 64, 2), "--set 'data.extra_roots=[DIR2]' --data DIR --run-dir"),
        (earlier("2" * 64, 2), "--set 'data.extra_roots=[RUN1DATA2]' --data RUN1DATA --run-dir"),
        (earlier("2" * 64, 1), "'id=\"e\"' --data RUN1DATA --run-dir"),
        (earlier("2" * 64, 0), "'id=\"e\"' --run-dir"),
    ):
        assert words in reproducer_command(plugin, config, data, [before]).split("\n")[0]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"best_weights": {}}, "at least one whole epoch, found none"),
        ({"best_weights": None}, "at least one whole epoch, found none"),
        ({"best_weights": {"first.weight": "text"}}, "first.weight of shape none instead of"),
        ({"identity": "{}"}, "a whole checkpoint of this task, found 'config'"),
        (
            {"identity": json.dumps({"config": {"id": "x", "other": 1}})},
            "a whole checkpoint of this task, found .*other",
        ),
        ({"identity": "no JSON"}, "a whole checkpoint of this task, found Expecting value"),
        ({"best_value": math.nan}, "a whole checkpoint of this task, found a best value of nan"),
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
    for source, named in (
        (tmp_path / "first", "0.weight of shape none"),
        (tmp_path / "no", "found none"),
        (Path("n" * 300), "found none"),
    ):
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
