from __future__ import annotations

import os
import sys
import tomllib
from pathlib import Path

import pytest

from vmaf_train.discovery import ENTRY_POINT_GROUP
from vmaf_train.errors import ConfigError
from vmaf_train.files import resource
from vmaf_train.new_task import EXAMPLE, write_new_task


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def held(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_new_task_is_the_example_under_its_own_name(tmp_path: Path) -> None:
    folder = write_new_task("banding_strength")
    made = files(folder)
    assert set(made) == {
        *("README.md", "pyproject.toml", "tests/test_banding_strength.py"),
        *(f"src/banding_strength/{name}.py" for name in ("__init__", "data", "model", "task")),
    }
    project = tomllib.loads(made["pyproject.toml"])["project"]
    assert project["name"] == "banding-strength"
    assert project["entry-points"][ENTRY_POINT_GROUP] == {"banding_strength": "banding_strength:PLUGIN"}
    assert "class BandingStrengthTask:" in made["src/banding_strength/task.py"]
    whole = "".join(made) + "".join(made.values())
    for form in (EXAMPLE, "noise-level", "NoiseLevel"):
        assert form not in whole
    for name, text in made.items():
        if name.endswith(".py"):
            compile(text, name, "exec")
    assert held(tmp_path) == ["banding_strength"]


def test_only_names_are_exchanged() -> None:
    example = resource("third_party_task", "ai", "examples", "third_party_task")
    made = files(write_new_task("x"))
    for name, text in made.items():
        source = example / name.replace("src/x/", f"src/{EXAMPLE}/").replace("test_x", f"test_{EXAMPLE}")
        assert len(text.splitlines()) == len(source.read_text(encoding="utf-8").splitlines())


def test_the_folder_may_be_elsewhere_and_is_made(tmp_path: Path) -> None:
    assert write_new_task("sharpness", Path("a/b/package")) == Path("a/b/package")
    assert (tmp_path / "a/b/package/src/sharpness/task.py").is_file()
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "a/b/package").stat().st_mode & 0o777 == 0o777 & ~mask
    assert held(tmp_path / "a/b") == ["package"]


BAD = {
    "Sharpness": "take for instance sharpness",
    "my-task": "take for instance my_task",
    "2nd try": "take for instance nd_try",
    "a__b": "take for instance a_b",
    "_private": "take for instance private",
    "../up": "take for instance up",
    "": "take for instance my_task",
    "schärfe": "take for instance sch_rfe",
    "sharp\n": "take for instance sharp",
    "a" * 41: "at most 40 characters",
    "class": "a word of Python",
    "json": "a module of that name in Python itself",
    "numpy": "an installed module of that name",
    "vmaf_train": "an installed module of that name",
    "mobilesal_placeholder": "a task of that name in vmaf-train",
}


@pytest.mark.parametrize("name", BAD)
def test_a_name_that_is_bad_or_taken_is_refused_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        write_new_task(name)
    assert BAD[name] in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    assert held(tmp_path) == []


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "sharpness").mkdir()
    (tmp_path / "filed").write_text("mine")
    (tmp_path / "linked").symlink_to("nowhere")
    for name in ("sharpness", "filed", "linked"):
        with pytest.raises(ConfigError, match=f"{name}: expected a path at which nothing is yet"):
            write_new_task(name)
    with pytest.raises(ConfigError, match="filed/x: expected a folder that can be made"):
        write_new_task("sharpness", Path("filed/x"))
    assert held(tmp_path) == ["filed", "linked", "sharpness"]
    assert held(tmp_path / "sharpness") == []


def test_a_folder_that_is_no_module_does_not_take_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sharpness").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert write_new_task("sharpness", Path("package")).is_dir()


def test_the_command_says_what_to_do_next(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from vmaf_train.cli import main

    for words, code in ((["sharpness", "--to", "my package"], 0), (["sharpness", "--to", "my package"], 2)):
        monkeypatch.setattr(sys, "argv", ["vmaf-train", "new-task", *words])
        with pytest.raises(SystemExit) as end:
            main()
        assert int(end.value.code or 0) == code
    said = capsys.readouterr()
    assert "cd 'my package'\n" in said.out
    assert said.err == (
        "error: my package: expected a path at which nothing is yet, found a folder; "
        "choose another place with --to\n"
    )
