from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from repeated import repeated
from vmaf_train.config import TaskConfig
from vmaf_train.config_files import find_config_file, load_config, load_config_values
from vmaf_train.config_record import config_digest
from vmaf_train.discovery import discover_tasks, load_task
from vmaf_train.reproducer import reproducer_command
from vmaf_train.task import TaskPlugin

STUDENT = load_task("saliency_student")


class WideConfig(TaskConfig):
    id: str = "wide_v1"
    widths: tuple[int, ...] = (16, 32)
    note: str = ""


WIDE = TaskPlugin(name="wide", summary="", config_type=WideConfig, create=lambda config: config)  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("saliency_student_v1", []),
        ("saliency_student_v1", ["fit.epochs=3", "optimiser.lr=1e-5", "model.decoder=resize_conv"]),
        ("saliency_student_v1", ["model.encoder_widths=[8, 16, 24]", "data.policy=strict"]),
        ("smoke", []),
        ("saliency_student_v2", []),
        ("saliency_student_v2_first", []),
        ("saliency_student_v2_second", []),
        ("saliency_student_v2", ["fit.epochs=3", "augmentation.colour.contrast=0"]),
        ("smoke", ["fit.seed=7", "augmentation.flip_probability=0"]),
        ("saliency_student_v2_first", ["augmentation.resized_crop=null"]),
    ],
)
def test_the_command_leads_to_the_very_config_of_the_run(name: str, changes: list[str]) -> None:
    config = load_config(STUDENT.config_type, find_config_file(name), changes)
    command = reproducer_command(STUDENT, config)
    assert config_digest(repeated(STUDENT, command)) == config_digest(config)
    assert f"--config {name}" in command
    assert command.count("--set") == len(changes)


@pytest.mark.parametrize(
    "text", ['it\'s "so"', "a: b # c", "$HOME `x` \\", "1e5", "null", "é \U0001f600", "", "two\nlines", "[x]"]
)
def test_any_text_survives_the_shell_and_yaml(text: str) -> None:
    config = WideConfig(note=text)
    assert config_digest(repeated(WIDE, reproducer_command(WIDE, config))) == config_digest(config)


def test_what_follows_from_the_defaults_is_not_spelled_out() -> None:
    apart = " --model-dir NEWMODEL --docs-dir NEWDOCS"
    assert reproducer_command(WIDE, WideConfig()) == "vmaf-train run wide" + apart
    changed = reproducer_command(WIDE, WideConfig(widths=(3,)))
    assert changed == "vmaf-train run wide --set 'widths=[3]'" + apart


def test_a_config_file_of_a_plugin_is_meant_by_leaving_it_out_and_its_path_is_not_named(
    tmp_path: Path,
) -> None:
    file = tmp_path / "wide.yaml"
    file.write_text("widths: [5, 6]")
    plugin = replace(WIDE, config_file=str(file))
    command = reproducer_command(plugin, load_config(WideConfig, file, ["note=so"]))
    assert str(tmp_path) not in command
    assert command.startswith("vmaf-train run wide --set 'note=\"so\"' --model-dir")


def test_a_repetition_is_never_put_over_the_model_that_ships() -> None:
    assert "--model-dir" in reproducer_command(WIDE, WideConfig())
    assert "--model-dir" not in reproducer_command(WIDE, WideConfig(smoke=True))


def test_no_folder_of_the_machine_is_named_and_each_has_its_place(tmp_path: Path) -> None:
    changes = {
        "data.root": tmp_path / "one",
        "data.extra_roots": [tmp_path / "two", tmp_path / "three"],
        "data.cache_dir": tmp_path,
    }
    file = find_config_file("saliency_student_v1")
    command = reproducer_command(STUDENT, load_config(STUDENT.config_type, file, (), changes))
    assert str(tmp_path) not in command
    assert "--set 'data.extra_roots=[DIR2, DIR3]' --data DIR" in command


def test_every_task_has_a_command_for_its_own_configs() -> None:
    for entry in discover_tasks():
        assert entry.plugin is not None, entry
        for name in (entry.plugin.config_file, entry.plugin.demo_config_file):
            file = find_config_file(name) if name else None
            config = load_config(entry.plugin.config_type, file)
            assert load_config_values(file) if file else True
            assert "--set" not in reproducer_command(entry.plugin, config)
