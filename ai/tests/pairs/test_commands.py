from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pairs.made_files import put_pair, toy_set
from vmaf_train.errors import ConfigError, DataError
from vmaf_train.pairs import cache_entries, decoded_cache, find_pairs
from vmaf_train.pairs.commands import data_app


def run(*arguments: object) -> str:
    result = CliRunner().invoke(data_app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def answered(*arguments: object) -> Any:
    return json.loads(run(*arguments, "--json"))


def test_inspect_names_each_file_in_json(tmp_path: Path) -> None:
    root = toy_set(tmp_path / "set", 4)
    broken = root / "TOY-Image" / "0002.jpg"
    broken.write_bytes(broken.read_bytes()[:-200])
    put_pair(root, "wide", 9, h=40, w=120)
    (root / "TOY-Mask" / "lonely.png").write_bytes(b"")
    told = answered("inspect", root, "--cache-dir", tmp_path / "cache")
    assert (told["set"], told["layout"], len(told["digest"])) == ("toy", "duts", 64)
    assert told["counts"]["kept"] == 4
    assert {(bad["reason"], bad["files"][0]) for bad in told["dropped"]} == {
        ("unreadable", str(broken)),
        ("unpaired", str(root / "TOY-Mask" / "lonely.png")),
    }
    assert told["findings"] == {"extreme_aspect": [str(root / "TOY-Image" / "wide.jpg")]}
    assert list((tmp_path / "cache").glob("findings-*.jsonl"))


def test_inspect_prints_a_table_of_what_is_not_zero(tmp_path: Path) -> None:
    root = toy_set(tmp_path / "set", 3)
    (root / "TOY-Image" / "0001.jpg").write_bytes(b"<html>[bold]x")
    text = run("inspect", root, "--cache-dir", tmp_path)
    assert "toy: 2 pairs kept" in text
    assert "dropped: unreadable" in text
    assert "a web page" in text
    assert "cmyk" not in text


def test_strict_prints_the_report_and_fails(tmp_path: Path) -> None:
    root = toy_set(tmp_path / "set", 3)
    run("inspect", root, "--strict", "--cache-dir", tmp_path)
    (root / "TOY-Image" / "0001.jpg").write_bytes(b"")
    result = CliRunner().invoke(data_app, ["inspect", str(root), "--strict", "--cache-dir", str(tmp_path)])
    assert isinstance(result.exception, DataError)
    assert result.exception.exit_code == 1
    assert "0001.jpg" in str(result.exception)
    assert "2 pairs kept" in result.stdout


def test_inspect_joins_sets_compares_with_a_test_set_and_draws_a_sheet(tmp_path: Path) -> None:
    first, second = toy_set(tmp_path / "one", 3), tmp_path / "two"
    for folder in ("Image", "Mask"):
        (first / f"TOY-{folder}").rename(first / f"ONE-{folder}")
    toy_set(second, 2, first=10)
    test = toy_set(tmp_path / "test", 3, first=2)
    told = answered(
        *("inspect", first, second, "--cache-dir", tmp_path / "cache"),
        *("--against", test, "--sheet", tmp_path / "sheet.png", "--workers", 2),
    )
    assert told["sets"] == {
        "one": {"pairs": 3, "kept": 3, "dropped": 0},
        "toy": {"pairs": 2, "kept": 2, "dropped": 0},
    }
    assert [(leak["same_bytes"], Path(leak["train"]).name) for leak in told["leaks"]] == [(True, "0002.jpg")]
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    text = run("inspect", first, second, "--cache-dir", tmp_path / "cache", "--against", test)
    assert "leaks into the test set" in text
    assert "one+toy" in text


def test_a_bad_file_of_the_other_set_is_left_out_of_the_comparison(tmp_path: Path) -> None:
    mine, test = toy_set(tmp_path / "mine", 3), toy_set(tmp_path / "test", 3)
    (test / "TOY-Image" / "0001.jpg").write_bytes(b"")
    told = answered("inspect", mine, "--cache-dir", tmp_path / "cache", "--against", test)
    assert [Path(leak["train"]).name for leak in told["leaks"]] == ["0000.jpg", "0002.jpg"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["inspect", "absent"],
        ["fetch", "ecssd", "--to", "x"],
        ["fetch", "nothing", "--to", "x"],
        ["cache", "clear", "zzz", "--cache-dir", "absent"],
    ],
)
def test_a_mistake_on_the_command_line_is_a_config_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError):
        run(*arguments)
    assert list(tmp_path.iterdir()) == []


def test_cache_entries_are_listed_and_cleared(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    pairs = find_pairs(toy_set(tmp_path / "set", 3)).pairs
    decoded_cache(pairs, short_side=16, cache_dir=cache)
    decoded_cache(pairs, short_side=20, cache_dir=cache)
    run("inspect", tmp_path / "set", "--cache-dir", cache)
    listed = answered("cache", "list", "--cache-dir", cache)
    assert [(entry["pairs"], entry["sets"]) for entry in listed] == [(3, ["toy"])] * 2
    assert "2 entries" in run("cache", "list", "--cache-dir", cache)
    (gone,) = answered("cache", "clear", listed[0]["key"], "--cache-dir", cache)
    assert gone == listed[0]
    assert len(cache_entries(cache)) == 1
    assert "removed 1 entries" in run("cache", "clear", "--cache-dir", cache)
    assert cache_entries(cache) == ()
    assert not list(cache.glob("findings-*"))


def test_the_default_cache_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    decoded_cache(find_pairs(toy_set(tmp_path / "set", 1)).pairs, short_side=16)
    (entry,) = answered("cache", "list")
    assert Path(entry["path"]).parent == tmp_path / "vmaf-train" / "pairs"


def test_names_that_are_no_utf_8_and_names_with_markup_can_be_reported(tmp_path: Path) -> None:
    root = toy_set(tmp_path / "set", 2)
    for name in (b"caf\xe9.jpg", b"[red]x[blue].jpg"):
        (root / "TOY-Image" / os.fsdecode(name)).write_bytes(b"")
    told = answered("inspect", root, "--cache-dir", tmp_path)
    assert [Path(bad["files"][0]).name for bad in told["dropped"]] == ["[red]x[blue].jpg", "caf\\xe9.jpg"]
    assert "[red]x[blue].jpg" in run("inspect", root, "--cache-dir", tmp_path).replace("\n", "")


def test_importing_the_commands_imports_nothing_heavy() -> None:
    code = (
        "import sys, vmaf_train.pairs.commands\n"
        "heavy = {'numpy', 'PIL', 'torch', 'onnx', 'onnxruntime', 'imagehash', 'pooch', 'requests'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_package_offers_exactly_the_names_it_lists() -> None:
    import vmaf_train.pairs as package

    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) == set(package._HOME)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = package.no_such_name
