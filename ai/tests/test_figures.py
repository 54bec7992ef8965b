from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from records import tiny_record
from vmaf_train.figures import contact_sheet, curves, trial_curves
from vmaf_train.run_record import EpochRecord

HISTORY = tiny_record().training.history


def history(*metrics: dict[str, float | None], loss: float | None = 1.0) -> list[EpochRecord]:
    return [
        HISTORY[0].model_copy(update={"epoch": number, "metrics": values, "loss": loss})
        for number, values in enumerate(metrics, 1)
    ]


@pytest.mark.parametrize("form", ["png", "svg"])
def test_the_same_history_gives_the_same_bytes_whatever_the_users_style(form: str) -> None:
    first = curves(HISTORY, "tiny_v1", form=form)
    with mpl.rc_context():
        mpl.rcParams.update({"lines.linewidth": 9.0, "figure.facecolor": "red", "font.size": 30})
        assert curves(HISTORY, "tiny_v1", form=form) == first
        assert mpl.rcParams["lines.linewidth"] == 9.0
    assert curves(HISTORY[:1], "tiny_v1", form=form) != first
    assert first.startswith(b"\x89PNG" if form == "png" else b"<?xml")


def test_trials_share_a_picture_that_names_them_while_they_are_few() -> None:
    few = trial_curves({"1: slow": HISTORY, "2: fast": HISTORY[:1]}, "iou", form="svg").decode()
    assert "1: slow" in few
    assert "validation iou" in few
    many = trial_curves({f"trial {n}": HISTORY for n in range(11)}, "iou", form="svg").decode()
    assert "trial 3" not in many


def test_a_picture_names_no_date_and_no_program() -> None:
    svg = curves(HISTORY, "tiny_v1", form="svg").decode()
    assert "<dc:date>" not in svg
    assert "<dc:creator>" not in svg
    assert "iou" in svg
    assert Image.open(io.BytesIO(curves(HISTORY, "a", form="png"))).info.keys() <= {"dpi"}


@pytest.mark.parametrize(
    "epochs",
    [
        history({"iou": None}),
        history({"iou": None}, {"iou": 0.5}, {"iou": None}, {"iou": 0.6}),
        history({"iou": 0.5}, {}, {"late": 0.5}),
        history({}, {}),
        history({"iou": -3.0}, {"iou": -2.0}),
        history({"iou": 0.5}, loss=None),
        history(*[dict[str, float | None](iou=0.5) for _ in range(200)]),
    ],
)
@pytest.mark.parametrize("form", ["png", "svg"])
def test_gaps_and_odd_histories_are_drawn(epochs: list[EpochRecord], form: str) -> None:
    assert len(curves(epochs, "tiny_v1", form=form)) > 1000


def test_a_metric_that_comes_later_is_drawn_too() -> None:
    assert "late" in curves(history({"iou": 0.5}, {"late": 0.5}), "a", form="svg").decode()


def panel(height: int, width: int, level: int) -> NDArray[np.uint8]:
    return np.full((height, width, 3), level, dtype=np.uint8)


def sheet(rows: Sequence[Sequence[NDArray[np.uint8]]]) -> NDArray[np.uint8]:
    data = contact_sheet(rows)
    assert data is not None
    return np.asarray(Image.open(io.BytesIO(data)))


def test_a_sheet_of_nothing_is_no_sheet() -> None:
    assert contact_sheet([]) is None
    assert contact_sheet([(), ()]) is None


def test_the_panels_of_a_row_stand_side_by_side_from_left_to_right() -> None:
    pixels = sheet([(panel(20, 30, 10), panel(20, 30, 20), panel(20, 30, 30))])
    levels = [int(level) for level in pixels[12, :, 0]]
    assert [level for level in dict.fromkeys(levels) if level != 255] == [10, 20, 30]
    assert [levels.count(level) for level in (10, 20, 30)] == [30, 30, 30]
    assert (pixels == 10).sum() == 20 * 30 * 3


def test_rows_fill_lines_in_their_order_and_none_is_lost() -> None:
    rows = [(panel(16, 16, level), panel(12, 10, level)) for level in range(1, 15)]
    pixels = sheet(rows)
    places = [np.argwhere(pixels[:, :, 0] == level)[0].tolist() for level in range(1, 15)]
    assert places == sorted(places)
    for level in range(1, 15):
        assert (pixels[:, :, 0] == level).sum() == 16 * 16 + 12 * 10
    height, width = pixels.shape[:2]
    assert 0.5 < width / height < 2


def test_a_row_may_have_fewer_panels_than_another() -> None:
    pixels = sheet([(panel(8, 8, 1), panel(8, 8, 2)), (), (panel(8, 8, 3),)])
    assert [(pixels[:, :, 0] == level).sum() for level in (1, 2, 3)] == [64, 64, 64]
