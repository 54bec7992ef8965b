from __future__ import annotations

from pathlib import Path

import pytest

from nested_config import NestedConfig, told
from vmaf_train.config_files import (
    config_changes,
    config_yaml,
    find_config_file,
    load_config,
    load_config_values,
)
from vmaf_train.errors import ConfigError
from vmaf_train.files import resource


def test_a_file_states_its_differences_from_its_base(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("id: a\nfit: {epochs: 9, seed: 5}\nwidths: [1, 2]")
    (tmp_path / "mine.yaml").write_text("base: base.yaml\nfit: {epochs: 3}\nwidths: [4]")
    config = load_config(NestedConfig, tmp_path / "mine.yaml", ["fit.seed=6"], {"id": "c"})
    assert (config.id, config.fit.epochs, config.fit.seed, config.widths) == ("c", 3, 6, (4,))
    assert config.fit.batch_size == 32


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("base: c.yaml", "its own base"),
        (
            "base: absent.yaml",
            r"base: absent\.yaml of .*expected a file beside it, or one of those that ship: sal",
        ),
        ("[1, 2]", "expected a mapping of sections, found list"),
        ("a: [", "expected valid YAML"),
    ],
)
def test_a_file_that_is_no_config_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=fault):
        load_config(NestedConfig, tmp_path / "c.yaml")


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_bytes(b"id: \xff")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config_values(tmp_path / "c.yaml")


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("# nothing yet\n")
    assert load_config(NestedConfig, tmp_path / "c.yaml") == NestedConfig()


@pytest.mark.parametrize("override", ["fit.epochs", "=3", "fit.=3", ".fit=3", "fit..epochs=3"])
def test_an_override_without_key_and_value_is_refused(override: str) -> None:
    with pytest.raises(ConfigError, match=r"--set fit\.epochs=2"):
        load_config(NestedConfig, None, [override])


@pytest.mark.parametrize("override", ["fit.epochs.most=3", "id.x=1", "widths.0=8", "schedule.restarts.0=2"])
def test_an_override_below_a_value_is_refused_and_not_forgotten(override: str) -> None:
    with pytest.raises(ConfigError, match=r"expected a section \w+, found"):
        load_config(NestedConfig, None, [override])


def test_a_base_may_be_one_that_ships(tmp_path: Path) -> None:
    shipped = find_config_file("smoke")
    for name in ("smoke", "smoke.yaml"):
        (tmp_path / "mine.yaml").write_text(f"base: {name}\nid: mine")
        assert load_config_values(tmp_path / "mine.yaml") == {**load_config_values(shipped), "id": "mine"}
    (tmp_path / "smoke.yaml").write_text("id: beside")
    assert load_config_values(tmp_path / "mine.yaml") == {"id": "mine"}


def test_overrides_are_read_as_yaml_and_the_last_one_counts() -> None:
    config = load_config(
        NestedConfig,
        None,
        ["optimiser.lr=1e-4", "fit.epochs=1", "fit.epochs=2", "widths=[3, 4]", "data.layout=a=b"],
    )
    assert (config.optimiser.lr, config.fit.epochs, config.widths) == (1e-4, 2, (3, 4))
    assert config.data.layout == "a=b"


def test_an_override_does_not_hide_a_wrong_section(tmp_path: Path) -> None:
    assert "fit: Input should be a valid dictionary" in told("fit: 3", tmp_path)
    with pytest.raises(ConfigError, match=r"fit\.epochs: expected a section fit, found fit: 3"):
        load_config(NestedConfig, tmp_path / "c.yaml", ["fit.epochs=2"])
    (tmp_path / "c.yaml").write_text("fit:\n")
    assert load_config(NestedConfig, tmp_path / "c.yaml", ["fit.epochs=2"]).fit.epochs == 2


def test_printed_yaml_reads_back_as_the_same_config(tmp_path: Path) -> None:
    config = load_config(
        NestedConfig,
        None,
        ["fit.seed=9", "optimiser.lr=1e-7", "data.layout='on'"],
        {"id": "1e5", "data.root": "a"},
    )
    (tmp_path / "c.yaml").write_text(config_yaml(config))
    assert load_config(NestedConfig, tmp_path / "c.yaml") == config


def test_changes_name_what_a_file_does_not_lead_to_and_nothing_else() -> None:
    config = load_config(NestedConfig, None, ["fit.epochs=3", "optimiser.lr=0.5", "data.root=x"])
    assert config_changes(NestedConfig, {"fit": {"epochs": 3}}, config) == {"optimiser.lr": 0.5}
    assert config_changes(NestedConfig, {}, NestedConfig()) == {}


def test_a_section_that_was_switched_off_is_a_change() -> None:
    config = load_config(NestedConfig, None, ["extra=null"])
    assert config_changes(NestedConfig, {"extra": {"seed": 3}}, config) == {"extra": None}


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


def test_changes_that_build_on_one_another_are_not_altered_themselves() -> None:
    changes = {"fit": {"epochs": 3}, "fit.seed": 5}
    config = load_config(NestedConfig, None, (), changes)
    assert (config.fit.epochs, config.fit.seed) == (3, 5)
    assert changes == {"fit": {"epochs": 3}, "fit.seed": 5}
