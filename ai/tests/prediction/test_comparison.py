from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from prediction.nets import CONSTANT, RED, opened
from vmaf_train.files import dump_json
from vmaf_train.prediction.comparison import (
    Comparison,
    Pairs,
    compare,
    comparison_dict,
    comparison_table,
    signal_plot,
)
from vmaf_train.prediction.signal import FrameSignal


def pairs(one: list[float], two: list[float]) -> Pairs:
    def frame(mean: float) -> FrameSignal:
        return FrameSignal(0, "", 4, 4, mean, None, 1.0)

    return [(frame(a), frame(b)) for a, b in zip(one, two, strict=True)]


RISING = [0.1, 0.2, 0.4, 0.5]


def test_series_that_move_together_correlate() -> None:
    found = compare("clip", pairs(RISING, [0.3 + value / 2 for value in RISING]))
    assert found.correlation == pytest.approx(1.0)
    assert found.undefined == ""
    assert found.difference == pytest.approx(np.mean([0.25, 0.2, 0.1, 0.05]))
    assert found.second.std == pytest.approx(found.first.std / 2)
    against = compare("clip", pairs(RISING, RISING[::-1]))
    assert against.correlation == pytest.approx(-1.0)


@pytest.mark.parametrize(
    ("one", "two", "said"),
    [
        ([0.3] * 4, RISING, "A is constant"),
        (RISING, [0.3] * 4, "B is constant"),
        ([0.2] * 4, [0.3] * 4, "both are constant"),
        (RISING, [0.3, 0.3 + 1e-8, 0.3, 0.3], "B is constant"),
        (RISING[:2], RISING[:2], "fewer than 3 frames"),
        (RISING[:1], RISING[:1], "fewer than 3 frames"),
    ],
)
def test_a_correlation_that_means_nothing_is_said_and_never_a_number(
    one: list[float], two: list[float], said: str
) -> None:
    found = compare("clip", pairs(one, two))
    assert (found.correlation, found.undefined) == (None, said)
    assert f"undefined: {said}" in table([found])


def table(rows: list[Comparison]) -> str:
    console = Console(file=io.StringIO(), width=110)
    console.print(comparison_table(rows))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_json_holds_null_and_the_reason(tmp_path: Path) -> None:
    models = opened(tmp_path / "a.onnx", RED), opened(tmp_path / "b.onnx", CONSTANT)
    rows = [compare("clip", pairs(RISING, [0.3] * 4)), compare("other", pairs(RISING, RISING))]
    said = json.loads(dump_json(comparison_dict(models, rows)))
    assert [clip["correlation"] for clip in said["clips"]] == [None, pytest.approx(1.0)]
    assert [clip["undefined"] for clip in said["clips"]] == ["B is constant", None]
    assert said["clips"][0]["b"]["constant"] is True
    assert said["models"]["b"]["file"] == "b.onnx"


@pytest.mark.parametrize("form", ["png", "svg"])
def test_the_plot_is_the_same_bytes_each_time_and_names_models_and_clips(tmp_path: Path, form: str) -> None:
    models = opened(tmp_path / "one$x$.onnx", RED), opened(tmp_path / "two.onnx", CONSTANT)
    clips = [("d/first.mp4", pairs(RISING, RISING[::-1])), ("second.y4m", pairs([0.3], [0.2]))]
    drawn = signal_plot(models, clips, "correlation 0.5", form=form)
    assert drawn == signal_plot(models, clips, "correlation 0.5", form=form)
    if form == "png":
        assert Image.open(io.BytesIO(drawn)).size == (1200, 504)
    else:
        for text in ("A: one$x$", "B: two", "first.mp4", "second.y4m", "red_mean / flat_mean", "0.5"):
            assert text in drawn.decode()
