from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nested_config import NestedConfig, told
from vmaf_train.config import FitConfig, TaskConfig
from vmaf_train.config_files import load_config
from vmaf_train.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("batchsize: 4", "unknown key batchsize (nearest known key: fit.batch_size)"),
        ("crop: 64", "unknown key crop (nearest known key: augmentation.crop_size)"),
        ("epochs: 3", "unknown key epochs (nearest known key: fit.epochs)"),
        ("fit: {batchsize: 4}", "unknown key fit.batchsize (nearest known key: fit.batch_size)"),
        ("fit: {min_value: 1}", "unknown key fit.min_value (nearest known key: gate.min_value)"),
        (
            "data: {embedded: {sead: 4}}",
            "unknown key data.embedded.sead (nearest known key: data.embedded.seed)",
        ),
        ("augmentation: {sed: 4}", "unknown key augmentation.sed (nearest known key: augmentation.seed)"),
        ("extra: {cropsize: 4}", "unknown key extra.cropsize (nearest known key: extra.crop_size)"),
        ("optimizer: {lr: 1}", "unknown key optimizer (nearest known key: optimiser)"),
        ("fit: {base: 1}", "unknown key fit.base (nearest known key: fit.batch_size)"),
        ("zzzz: 1", "unknown key zzzz"),
    ],
)
def test_an_unknown_key_is_refused_at_every_level_and_the_nearest_one_named(
    tmp_path: Path, text: str, fault: str
) -> None:
    assert told(text, tmp_path) == fault


def test_all_faults_stand_in_one_message(tmp_path: Path) -> None:
    text = "fit: {epochs: -1, sead: 3, batch_size: many}\n"
    text += "decoder: c\ngate: {min_value: .nan}\n7: 8\nschedule: 5\n"
    said = told(text, tmp_path)
    for part in (
        "fit.epochs: Input should be greater than or equal to 0, not -1",
        "unknown key fit.sead (nearest known key: fit.seed)",
        "fit.batch_size: Input should be a valid integer",
        "decoder: Input should be 'a' or 'b', not 'c'",
        "gate.min_value: Input should be a finite number, not nan",
        "7: Keys should be strings",
        "schedule: Input should be",
    ):
        assert part in said
    assert said.count("; ") == 6


def test_a_rule_over_several_keys_is_told_in_its_own_words(tmp_path: Path) -> None:
    assert told("fit: {epochs: 0}", tmp_path).startswith("fit.epochs is 0, so no weight would change")
    untrained = told("{smoke: true, fit: {epochs: 0, initial: run}}", tmp_path)
    assert untrained.startswith("fit.epochs is 0 and fit.initial is given")
    text = "fit: {epochs: 2}\nschedule: {warmup_epochs: 2.5}"
    assert told(text, tmp_path) == "schedule.warmup_epochs is 2.5, longer than fit.epochs, which is 2"
    text = "fit: {epochs: 4}\nschedule: {warmup_epochs: 2.5, restarts: [2]}"
    said = "schedule.warmup_epochs is 2.5, longer than the first of schedule.restarts, which is 2"
    assert told(text, tmp_path) == said


@pytest.mark.parametrize("restarts", ["[0]", "[2, 2]", "[3, 1]", "[-1]"])
def test_restarts_that_do_not_ascend_are_refused(restarts: str, tmp_path: Path) -> None:
    said = told(f"fit: {{epochs: 4}}\nschedule: {{restarts: {restarts}}}", tmp_path)
    assert said.startswith(f"schedule.restarts is {restarts}: each must be later than the one before")


@pytest.mark.parametrize(
    "model_id",
    [
        "Saliency_Student",
        "a b",
        "",
        "-a",
        "a/b",
        "..",
        "a" * 65,
        "ä",
        "a\n",
        "a_failed",
        "a_tested",
        "a_card",
    ],
)
def test_an_id_that_the_registry_would_refuse_is_no_config(model_id: str) -> None:
    with pytest.raises(ConfigError, match=r"id: .* is no id"):
        load_config(NestedConfig, None, (), {"id": model_id})


def test_a_config_cannot_be_changed_after_the_check() -> None:
    with pytest.raises(ValueError, match="frozen"):
        NestedConfig().fit.epochs = 3  # type: ignore[misc]


def test_every_key_of_the_framework_has_a_description_in_the_schema() -> None:
    def undocumented(schema: dict[str, Any]) -> list[str]:
        parts = [("", schema), *schema["$defs"].items()]
        return [
            f"{part}.{name}"
            for part, inner in parts
            for name, field in inner["properties"].items()
            if "description" not in field and "$ref" not in field
        ]

    assert undocumented(TaskConfig.model_json_schema()) == []
    assert FitConfig.model_json_schema()["additionalProperties"] is False
