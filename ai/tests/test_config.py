from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field

from vmaf_train.config import (
    MACHINE_ONLY,
    FitConfig,
    Section,
    TaskConfig,
    config_changes,
    config_differences,
    config_digest,
    config_yaml,
    default_values,
    find_config_file,
    load_config,
    load_config_values,
    recorded_config,
)
from vmaf_train.errors import ConfigError
from vmaf_train.files import resource


class Embedded(Section):
    seed: int = 7


class Data(Section):
    root: Path | None = Field(default=None, json_schema_extra=MACHINE_ONLY)
    layout: str = "auto"
    embedded: Embedded = Embedded()


class Crop(Section):
    crop_size: int = 256
    seed: int = 3


class ToyConfig(TaskConfig):
    id: str = "toy"
    decoder: Literal["a", "b"] = "a"
    widths: tuple[int, ...] = (16, 32)
    data: Data = Data()
    augmentation: Crop = Crop()
    extra: Crop | None = None


def told(text: str, tmp_path: Path, *overrides: str) -> str:
    """What is said about a config file; its path left out."""
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(ToyConfig, file, overrides)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{file}: ")
    return caught.value.found


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


@pytest.mark.parametrize("model_id", ["Saliency_Student", "a b", "", "-a", "a/b", "..", "a" * 65, "ä", "a\n"])
def test_an_id_that_the_registry_would_refuse_is_no_config(model_id: str) -> None:
    with pytest.raises(ConfigError, match=r"id: .* is no id"):
        load_config(ToyConfig, None, (), {"id": model_id})


def test_a_file_states_its_differences_from_its_base(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("id: a\nfit: {epochs: 9, seed: 5}\nwidths: [1, 2]")
    (tmp_path / "mine.yaml").write_text("base: base.yaml\nfit: {epochs: 3}\nwidths: [4]")
    config = load_config(ToyConfig, tmp_path / "mine.yaml", ["fit.seed=6"], {"id": "c"})
    assert (config.id, config.fit.epochs, config.fit.seed, config.widths) == ("c", 3, 6, (4,))
    assert config.fit.batch_size == 32


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("base: c.yaml", "its own base"),
        ("base: absent.yaml", "No such file"),
        ("[1, 2]", "expected a mapping of sections, found list"),
        ("a: [", "expected valid YAML"),
    ],
)
def test_a_file_that_is_no_config_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=fault):
        load_config(ToyConfig, tmp_path / "c.yaml")


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_bytes(b"id: \xff")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config_values(tmp_path / "c.yaml")


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("# nothing yet\n")
    assert load_config(ToyConfig, tmp_path / "c.yaml") == ToyConfig()


@pytest.mark.parametrize("override", ["fit.epochs", "=3", "fit.=3", ".fit=3", "fit..epochs=3"])
def test_an_override_without_key_and_value_is_refused(override: str) -> None:
    with pytest.raises(ConfigError, match=r"--set fit\.epochs=2"):
        load_config(ToyConfig, None, [override])


def test_overrides_are_read_as_yaml_and_the_last_one_counts() -> None:
    config = load_config(
        ToyConfig,
        None,
        ["optimiser.lr=1e-4", "fit.epochs=1", "fit.epochs=2", "widths=[3, 4]", "data.layout=a=b"],
    )
    assert (config.optimiser.lr, config.fit.epochs, config.widths) == (1e-4, 2, (3, 4))
    assert config.data.layout == "a=b"


def test_an_override_does_not_hide_a_wrong_section(tmp_path: Path) -> None:
    assert "fit: Input should be a valid dictionary" in told("fit: 3", tmp_path, "fit.epochs=2")
    (tmp_path / "c.yaml").write_text("fit:\n")
    assert load_config(ToyConfig, tmp_path / "c.yaml", ["fit.epochs=2"]).fit.epochs == 2


def test_a_config_cannot_be_changed_after_the_check() -> None:
    with pytest.raises(ValueError, match="frozen"):
        ToyConfig().fit.epochs = 3  # type: ignore[misc]


def test_printed_yaml_reads_back_as_the_same_config(tmp_path: Path) -> None:
    config = load_config(
        ToyConfig,
        None,
        ["fit.seed=9", "optimiser.lr=1e-7", "data.layout='on'"],
        {"id": "1e5", "data.root": "a"},
    )
    (tmp_path / "c.yaml").write_text(config_yaml(config))
    assert load_config(ToyConfig, tmp_path / "c.yaml") == config


def test_the_digest_ignores_where_and_how_fast_and_sees_everything_else() -> None:
    digest = config_digest(ToyConfig())
    assert digest == config_digest(load_config(ToyConfig, None, ["data.root=x", "fit.workers=3"]))
    changed = {
        config_digest(load_config(ToyConfig, None, [text]))
        for text in ("fit.seed=1", "data.embedded.seed=1", "widths=[16]", "gate.min_value=0.4")
    }
    assert len(changed - {digest}) == 4
    assert "root" not in recorded_config(ToyConfig())["data"]


def test_differences_are_named_and_a_setting_that_is_new_counts_as_its_default() -> None:
    defaults = default_values(ToyConfig)
    before = recorded_config(load_config(ToyConfig, None, ["fit.epochs=3"]))
    del before["decoder"]
    after = recorded_config(load_config(ToyConfig, None, ["fit.epochs=4"]))
    assert config_differences(before, after, defaults) == ["fit.epochs: 3 -> 4"]
    after["decoder"] = "b"
    assert "decoder: 'a' -> 'b'" in config_differences(before, after, defaults)


def test_changes_name_what_a_file_does_not_lead_to_and_nothing_else() -> None:
    config = load_config(ToyConfig, None, ["fit.epochs=3", "optimiser.lr=0.5", "data.root=x"])
    assert config_changes(ToyConfig, {"fit": {"epochs": 3}}, config) == {"optimiser.lr": 0.5}
    assert config_changes(ToyConfig, {}, ToyConfig()) == {}


def test_every_shipped_config_is_found_by_its_name_and_an_unknown_name_lists_them() -> None:
    shipped = sorted(resource("configs", "ai", "configs").glob("*.yaml"))
    assert shipped
    for path in shipped:
        assert find_config_file(path.stem) == find_config_file(path.name) == path
        assert load_config_values(path)
    for name in ("no_such", "x" * 5000, "a\0b"):
        with pytest.raises(ConfigError) as caught:
            find_config_file(name)
        assert all(path.stem in str(caught.value) for path in shipped)


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


def test_changes_that_build_on_one_another_are_not_altered_themselves() -> None:
    changes = {"fit": {"epochs": 3}, "fit.seed": 5}
    config = load_config(ToyConfig, None, (), changes)
    assert (config.fit.epochs, config.fit.seed) == (3, 5)
    assert changes == {"fit": {"epochs": 3}, "fit.seed": 5}
