from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from command_line import Answer, Told
from prediction.nets import CONSTANT, HALVED, RED, written
from prediction.streams import made_planes, y4m
from records import python


@pytest.fixture
def red(tmp_path: Path) -> Path:
    return written(tmp_path / "red.onnx", RED)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.y4m"
    path.write_bytes(y4m([made_planes(70, 66, number) for number in range(4)]))
    return path


def refused(answer: Answer, code: int, *parts: str) -> None:
    assert (answer.code, answer.out) == (code, ""), answer
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    for part in parts:
        assert part in answer.err


def test_predict_writes_what_is_asked_for(told: Told, tmp_path: Path, red: Path, clip: Path) -> None:
    files = {"json": tmp_path / "a" / "out.json", "csv": tmp_path / "out.csv"}
    regions = {
        form: tmp_path / f"{form}.txt"
        for form in ("svt-av1", "kvazaar", "addroi", "x264-zones", "x265-zones")
    }
    answer = told(
        *("predict", red, clip, "--json", files["json"], "--csv", files["csv"]),
        *("--roi-range", "-8:4", "--overlay", tmp_path / "over", "--maps", tmp_path / "maps", "--every", 2),
        *(word for form, path in regions.items() for word in ("--roi", f"{form}:{path}")),
    )
    assert answer.code == 0, answer
    assert "red_mean of red" in answer.out
    assert "clip.y4m" in answer.out
    said: dict[str, Any] = json.loads(files["json"].read_text())
    assert (said["feature"], said["model"]["output"]) == ("red_mean", "red_map")
    (item,) = said["inputs"]
    assert (item["kind"], item["pixel_format"], item["width"], item["height"]) == ("y4m", "yuv420p", 70, 66)
    rows = list(csv.DictReader(io.StringIO(files["csv"].read_text())))
    assert [float(row["red_mean"]) for row in rows] == [frame["red_mean"] for frame in item["frames"]]
    assert [row["red_change"] == "" for row in rows] == [True, False, False, False]
    assert [row["frame"] for row in rows] == ["0", "1", "2", "3"]
    for folder in ("over", "maps"):
        assert sorted(path.name for path in (tmp_path / folder).iterdir()) == [
            "clip-000000.png",
            "clip-000002.png",
        ]
    grey = np.asarray(Image.open(tmp_path / "maps" / "clip-000002.png"))
    assert grey.shape == (66, 70)
    assert grey.mean() / 255 == pytest.approx(item["frames"][2]["red_mean"], abs=0.002)
    assert [len(line.split()) for line in regions["svt-av1"].read_text().splitlines()] == [5] * 4
    assert regions["kvazaar"].read_text().count("2 2\n") == 4
    assert all(path.read_text().endswith("\n") for path in regions.values())


def test_data_on_standard_output_stands_there_alone(told: Told, red: Path, clip: Path) -> None:
    answer = told("predict", red, clip, "--json", "-", "--frames", 2)
    assert len(json.loads(answer.out)["inputs"][0]["frames"]) == 2
    assert "red_mean of red" in answer.err
    assert told("predict", red, clip, "--csv", "-").out.startswith(
        "input,frame,picture,width,height,red_mean"
    )
    refused(told("predict", red, clip, "--csv", "-", "--json", "-"), 2, "one of them")


def test_a_padded_frame_is_told(told: Told, tmp_path: Path) -> None:
    model = written(tmp_path / "halved.onnx", HALVED)
    Image.fromarray(np.full((5, 7, 3), 90, np.uint8)).save(tmp_path / "odd.png")
    answer = told("predict", model, tmp_path / "odd.png", "--json", tmp_path / "out.json")
    assert "edge-padded to multiples of 2" in answer.out
    item = json.loads((tmp_path / "out.json").read_text())["inputs"][0]
    assert (item["width"], item["height"], item["fed_width"], item["fed_height"]) == (7, 5, 8, 6)
    assert any("edge-padded" in note for note in item["notes"])


def test_a_model_that_takes_every_size_is_fed_the_frame_as_it_is(
    told: Told, tmp_path: Path, red: Path
) -> None:
    Image.fromarray(np.full((1, 1, 3), 90, np.uint8)).save(tmp_path / "dot.png")
    answer = told("predict", red, tmp_path / "dot.png", "--maps", tmp_path / "maps")
    assert answer.code == 0
    assert "padded" not in answer.out
    assert (tmp_path / "maps" / "dot.png").is_file()


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--block", 32), ("--block", "16 or 64")),
        (("--block", 16, "--roi", "svt-av1:x"), ("svt-av1", "--block 64")),
        (("--roi", "x", "--roi-range", "6:-6"), ("--roi-range",)),
        (("--json", "{clip}/out.json"), ("--json", "cannot hold it")),
        (("--overlay", "{clip}"), ("--overlay", "a file")),
        (("--roi", "{clip}/roi.txt"), ("--roi", "cannot hold it")),
        (("--size", "4by4"), ("--size",)),
        (("--size", "4x4"), ("raw .yuv",)),
        (("--pixel-format", "yuv420p10le"), ("yuv420p10le", "8 bits")),
        (("--roi", "x", "{clip}"), ("one input", "2 inputs")),
    ],
)
def test_a_mistyped_command_line_is_one_line_and_status_2(
    told: Told, red: Path, clip: Path, options: tuple[object, ...], parts: tuple[str, ...]
) -> None:
    words = [str(word).replace("{clip}", str(clip)) for word in options]
    refused(told("predict", red, clip, *words), 2, *parts)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--csv", "s", "--json", "s"), "the file of --json"),
        (("--roi", "svt-av1:s", "--roi", "kvazaar:s"), "the file of --roi"),
        (("--csv", "red.onnx"), "red.onnx, which is read"),
        (("--json", "clip.y4m"), "clip.y4m, which is read"),
        (("--overlay", "o", "--maps", "./o"), "the folder of --overlay"),
        (("photo.png", "--overlay", "."), "the folder of photo.png, which is read"),
        (("seq", "--maps", "seq"), "seq, which is read"),
        (("links/p.png", "--maps", "links"), "the folder of links/p.png, which is read"),
    ],
)
def test_what_is_written_replaces_neither_another_output_nor_an_input(
    told: Told, tmp_path: Path, red: Path, clip: Path, monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...], found: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("seq").mkdir()
    for name in ("photo.png", "seq/seq-000000.png"):
        Image.new("RGB", (8, 8)).save(name)
    Path("links").mkdir()
    Path("links/p.png").symlink_to("../photo.png")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    refused(told("predict", red, clip, *words), 2, "of its own, found ", found)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_names_that_are_not_utf_8_are_written_as_other_commands_print_them(
    told: Told, tmp_path: Path, red: Path
) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    odd = folder / os.fsdecode(b"caf\xe9.png")
    Image.new("RGB", (8, 8), (90, 0, 0)).save(odd)
    Image.new("RGB", (8, 8), (10, 0, 0)).save(folder / "z.png")
    for given in (odd, folder):
        answer = told("predict", red, given, "--json", tmp_path / "out.json", "--csv", tmp_path / "out.csv")
        assert (answer.code, answer.err) == (0, "")
        for path in (tmp_path / "out.json", tmp_path / "out.csv"):
            assert "caf\\xe9.png" in path.read_text().replace("\\\\", "\\")
    answer = told(
        "compare-signal", red, red, odd, "--plot", tmp_path / "p.svg", "--json", tmp_path / "o.json"
    )
    assert (answer.code, answer.err) == (0, "")


def test_damage_leaves_no_half_written_table(told: Told, tmp_path: Path, red: Path, clip: Path) -> None:
    clip.write_bytes(clip.read_bytes()[:-1])
    out = tmp_path / "out.json"
    answer = told("predict", red, clip, "--json", out, "--roi", tmp_path / "roi.txt")
    refused(answer, 1, "frame 3", "--frames 3")
    assert not out.exists()
    assert not (tmp_path / "roi.txt").exists()
    assert told("predict", red, clip, "--json", out, "--frames", 3).code == 0


def test_compare_signal_says_when_a_correlation_means_nothing(
    told: Told, tmp_path: Path, red: Path, clip: Path
) -> None:
    flat = written(tmp_path / "flat.onnx", CONSTANT)
    plot, out = tmp_path / "plot.png", tmp_path / "out.json"
    answer = told("compare-signal", red, flat, clip, "--plot", plot, "--json", out)
    assert answer.code == 0, answer
    assert "undefined:" in answer.out
    assert "constant" in answer.out
    assert "nan" not in answer.out.lower()
    assert json.loads(out.read_text())["clips"][0]["undefined"] == "B is constant"
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_compare_signal_says_what_was_done_to_the_frames(told: Told, tmp_path: Path, red: Path) -> None:
    still = tmp_path / "still.png"
    Image.new("RGB", (8, 8), (200, 10, 10)).save(still)
    answer = told("compare-signal", red, red, still, "--plot", tmp_path / "p.svg")
    assert "still.png: made into yuv420p, BT.709 limited range" in answer.out
    answer = told("compare-signal", red, red, still, "--plot", tmp_path / "p.svg", "--json", "-")
    (note,) = json.loads(answer.out)["clips"][0]["notes"]
    assert note.startswith("made into yuv420p")


def test_compare_signal_of_a_model_with_itself_is_one(
    told: Told, tmp_path: Path, red: Path, clip: Path
) -> None:
    plot = tmp_path / "plot.svg"
    answer = told("compare-signal", red, red, clip, clip, "--plot", plot, "--json", "-")
    rows = json.loads(answer.out)["clips"]
    assert [row["clip"] for row in rows] == [str(clip), str(clip), "all"]
    assert [row["correlation"] for row in rows] == [pytest.approx(1.0)] * 3
    assert b"<svg" in plot.read_bytes()
    refused(told("compare-signal", red, red, clip, "--plot", "x.pdf"), 2, ".svg or .png")


def test_help_needs_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "import vmaf_train.prediction.commands\n"
        "assert not {'numpy', 'onnxruntime', 'onnx', 'PIL', 'matplotlib', 'torch'} & sys.modules.keys()\n"
    )
    ran = python(code)
    assert (ran.returncode, ran.stderr) == (0, "")
