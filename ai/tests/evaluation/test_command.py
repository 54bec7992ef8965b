from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from evaluation.made_models import channel_model, shown_pairs
from records import Folders
from vmaf_train.cli import main
from vmaf_train.registry import load_sidecar


def call(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["vmaf-train", "eval", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_one_command_writes_figures_curves_sheet_and_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders, out = Folders(tmp_path), tmp_path / "out"
    folders.publish()
    data = shown_pairs(tmp_path / "set", 4)
    model, other = folders.models / "tiny_v1.onnx", channel_model(tmp_path / "other.onnx")
    words = ["--data", data, "--short-side", 48, "--yuv", "--block", 16, "--json", out / "all.json"]
    words += ["--sheet", out / "sheet.png", "--curves", out / "curves.svg", "--append-to", "tiny_v1"]
    words += ["--model-dir", folders.models, "--docs-dir", folders.docs, "--licence", "made here"]
    assert call(monkeypatch, other, model, *words) == 0
    said = capsys.readouterr()
    assert "tiny_v1 YUV" in said.out
    assert str(folders.models / "tiny_v1_card.md") in said.out
    assert said.err == ""
    told = json.loads((out / "all.json").read_text())
    assert [column["label"] for column in told["columns"]] == ["other", "other YUV", "tiny_v1", "tiny_v1 YUV"]
    assert (out / "curves.svg").read_text().startswith("<?xml")
    with Image.open(out / "sheet.png") as sheet:
        sheet.verify()
    plain, through = load_sidecar(folders.models, "tiny_v1").record.evaluations
    assert (plain.licence, plain.pairs) == ("made here", 4)
    assert "multiples of 8 of at least 16" in plain.protocol
    assert "IoU at 0.5, change" in through.metrics
    assert folders.problems() == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--data", "nowhere"], 2, "nowhere: expected a folder with pictures and masks"),
        (["--data", ".", "--block", "17"], 2, "--block: expected 16 or 64, found 17"),
        (["--data", ".", "--sheet", "a.jpg"], 2, "--sheet: expected a file name that ends in .png"),
        (["--data", ".", "--curves", "a"], 2, "--curves: expected a file name that ends in .svg or .png"),
        (["--data", ".", "--json", "."], 2, "--json: expected a file that can be written, found ., a folder"),
        (["--data", ".", "--json", "m.onnx/a"], 2, "found m.onnx, which cannot hold it"),
        (["m.onnx", "--data", "."], 2, "the models: expected each file once, found m.onnx twice"),
        (["none.onnx", "--data", "."], 1, "none.onnx: expected a readable ONNX file"),
        (["--data", ".", "--append-to", "x"], 2, "model x: expected a row of model/tiny/registry.json"),
        (["--data", ".", "--short-side", "0"], 2, "short-side"),
    ],
)
def test_a_mistake_is_one_line_and_no_traceback(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    channel_model(Path("m.onnx"))
    assert call(monkeypatch, "m.onnx", *words) == code
    found = capsys.readouterr()
    assert said in found.err
    assert "Traceback" not in found.err
    if "short-side" not in said:
        assert len(found.err.splitlines()) == 1


@pytest.mark.parametrize("option", ["--sheet", "--curves", "--json"])
@pytest.mark.parametrize("of", ["--data", "--train"])
def test_no_picture_of_a_set_that_is_read_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str, of: str
) -> None:
    sets = {"--data": shown_pairs(tmp_path / "set", 2), "--train": shown_pairs(tmp_path / "other", 2)}
    picture = sorted(sets[of].rglob("*.png"))[0]
    (tmp_path / "link").symlink_to(picture.parent)
    before = picture.read_bytes()
    words = [word for pair in sets.items() for word in pair]
    for path in (picture, tmp_path / "link" / picture.name):
        assert call(monkeypatch, channel_model(tmp_path / "m.onnx"), *words, option, path) == 2
        assert (
            f"{option}: expected a file of its own, found {path}, a picture of a set"
            in capsys.readouterr().err
        )
    assert picture.read_bytes() == before


def test_without_the_measures_nothing_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "py_sod_metrics", None)
    assert call(monkeypatch, tmp_path / "none.onnx", "--data", tmp_path) == 2
    assert capsys.readouterr().err == (
        "error: evaluation: expected the package pysodmetrics, found it is not installed; "
        "pip install 'vmaf-train[eval]'\n"
    )
