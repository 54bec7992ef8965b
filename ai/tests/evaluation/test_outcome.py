from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from evaluation.made_models import opened, shown_pairs
from records import tiny_record
from vmaf_train.evaluation.charts import curves
from vmaf_train.evaluation.feed import Feed
from vmaf_train.evaluation.judging import judge
from vmaf_train.evaluation.outcome import Extras, Outcome, conclude
from vmaf_train.evaluation.report import outcome_dict, print_outcome
from vmaf_train.evaluation.selection import Selection
from vmaf_train.evaluation.sheet import contact_sheet
from vmaf_train.files import dump_json
from vmaf_train.intervals import differences
from vmaf_train.pairs import find_pairs
from vmaf_train.run_record import FrameCost

COST = FrameCost(
    width=60, height=40, frames=3, processor="A processor", threads=1, median_seconds=0.25, peak_bytes=1 << 20
)


def outcome(folder: Path, feeds: Sequence[Feed] = (Feed(), Feed(yuv=True)), models: int = 2) -> Outcome:
    """A good model and a blind one, on a set whose foreground is red."""
    pairs = find_pairs(shown_pairs(folder / "set")).pairs
    selection = Selection(
        "TOY", "for tests", pairs, 7, {"unreadable": 1}, (), "toy (9)", "c" * 64, 8, "d" * 64
    )
    given = [opened(folder, "good", "4, 0, 0"), opened(folder, "blind", "0, 0, -4")][:models]
    columns = judge(given, pairs, feeds, block=16)
    extras = [Extras((COST,), {"change": np.full((2, 1), 0.125)}, ("Seen.",))] + [Extras()] * (
        len(columns) - 1
    )
    return conclude(selection, columns, extras)


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return outcome(tmp_path_factory.mktemp("four"))


def printed(found: Outcome) -> str:
    buffer = io.StringIO()
    print_outcome(found, Console(file=buffer, width=240))
    return buffer.getvalue()


def test_models_are_compared_with_the_first_and_ways_of_feeding_with_the_plain_one(four: Outcome) -> None:
    assert [(item.column, item.base) for item in four.differences] == [(1, 0), (2, 0), (3, 2)]
    by_hand = differences(four.columns[2].samples(), four.columns[0].samples())
    assert four.differences[1].figures == by_hand
    assert by_hand["IoU at 0.5"].value < -0.5


def test_the_record_gets_an_entry_per_way_of_feeding_that_model(four: Outcome) -> None:
    good, other = (
        tiny_record(changes={"export.sha256": column.model.sha256}) for column in four.columns[::2]
    )
    plain, through = four.evaluations(good)
    assert {entry.model_sha256 for entry in (plain, through)} == {four.columns[0].model.sha256}
    assert (plain.dataset, plain.pairs, plain.digest, plain.licence) == ("TOY", 6, "d" * 64, "for tests")
    assert plain.protocol == "fed at native size; 6 of 7 pairs, evenly spaced"
    assert plain.metrics["change"].value == 0.125
    assert plain.costs == (COST,)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", plain.date)
    for words in ("Seen.", "8 published", "1 unreadable", "bootstrap over pictures, 1000 draws, seed 42"):
        assert words in plain.notes
    assert plain.curves is not None
    thresholds = plain.curves.threshold
    assert (thresholds[0], thresholds[-1]) == (0.0, 1.0)
    assert list(thresholds) == sorted(set(thresholds))
    assert {len(plain.curves.precision), len(plain.curves.f)} == {len(thresholds)}
    assert 48 < len(thresholds) < 64
    recall = four.columns[0].curve("recall")
    assert (plain.curves.recall[0], plain.curves.recall[-1]) == pytest.approx(
        (recall[0], recall[-1]), abs=1e-4
    )
    assert "IoU at 0.5, change" not in plain.metrics
    assert through.metrics["IoU at 0.5, change"] == four.differences[0].figures["IoU at 0.5"]
    assert "BT.709 limited range 4:2:0" in through.protocol
    # The second model's plain column is compared with another model, which is no change of its own.
    assert "IoU at 0.5, change" not in four.evaluations(other)[0].metrics
    assert four.evaluations(tiny_record()) == ()
    assert four.evaluations(tiny_record(changes={"export": None})) == ()


def test_the_notes_say_whether_the_set_compared_with_is_the_one_trained_on(four: Outcome) -> None:
    export = {"export.sha256": four.columns[0].model.sha256}
    for changes, said in (
        ({"data.digest": "c" * 64}, "That set is the one that this model was trained on."),
        ({"data.digest": "a" * 64}, "That set is not the one that this model was trained on."),
        ({"data": None}, ""),
    ):
        notes = four.evaluations(tiny_record(changes=export | changes))[0].notes
        assert ("That set" in notes) == bool(said)
        assert said in notes


def test_the_notes_say_where_earlier_runs_learned_from_pictures_that_were_not_compared(four: Outcome) -> None:
    told = {
        "id": "first_v1",
        "checkpoint_sha256": "b" * 64,
        "config": {},
        "epochs": 3,
        "best_epoch": 2,
        "metric": "iou",
        "value": 0.5,
        "seconds": 1.0,
        "held_out": "unknown",
    }
    export = {"export.sha256": four.columns[0].model.sha256, "data.digest": "c" * 64}
    for digests, said in ((["c", "c"], False), (["a", "c"], True), (["c", "a"], True)):
        initial = None
        for digest in digests:
            initial = {**told, "data_digest": digest * 64, "initial": initial}
        notes = four.evaluations(tiny_record(changes=export | {"training.initial": initial}))[0].notes
        assert ("a run on other data, which was not compared" in notes) == said


def test_what_is_printed_names_set_columns_measures_and_differences(four: Outcome) -> None:
    text = printed(four)
    assert "TOY: 6 of 7 pairs, evenly spaced, data digest dddddddddddddddd." in text
    assert "good YUV: fed at native size, through 8-bit BT.709 limited range 4:2:0." in text
    rows = [line.split("  ")[0].strip() for line in text.splitlines()]
    for name in ("IoU at 0.5", "F max", "F weighted", "S-measure", "E mean", "MAE", "block 16 IoU"):
        assert rows.count(name) == 2, name
    assert f"{four.figures[0]['MAE'].value:.4f}" in text
    assert f"{four.differences[1].figures['MAE'].value:+.4f}" in text
    assert "-0.0000" not in text
    assert "good: 60x40 in 250.0 ms, memory at most 1 MiB (3 runs, 1 thread)" in text


def test_a_single_column_has_its_interval_on_the_same_line_and_no_differences(tmp_path: Path) -> None:
    found = outcome(tmp_path, [Feed()], models=1)
    figure = found.figures[0]["F max"]
    assert figure.low is not None
    assert f"{figure.value:.4f} ({figure.low:.4f} to {figure.high:.4f})" in printed(found)
    assert "difference" not in printed(found)


def test_the_file_holds_every_figure_per_picture(four: Outcome) -> None:
    told = json.loads(dump_json(outcome_dict(four)))
    assert told["stems"] == [f"{i:04}" for i in range(6)]
    assert told["digest"] == "d" * 64
    assert [column["label"] for column in told["columns"]] == ["good", "good YUV", "blind", "blind YUV"]
    for column, figures in zip(told["columns"], four.figures, strict=True):
        assert {name: len(values) for name, values in column["per_picture"].items()} == dict.fromkeys(
            [name for name in figures if name not in {"F max", "E max", "change"}], 6
        )
        for name in ("IoU at 0.5", "F mean", "MAE"):
            assert np.mean(column["per_picture"][name]) == pytest.approx(column["figures"][name]["value"])
        assert max(column["curves"]["f"]) == pytest.approx(column["figures"]["F max"]["value"])
    assert told["columns"][0]["costs"][0]["peak_bytes"] == 1 << 20
    assert [item["base"] for item in told["differences"]] == ["good", "good", "blind"]


def test_curves_are_drawn_alike_each_time_and_hold_no_picture(four: Outcome) -> None:
    svg = curves(four, "svg")
    assert svg == curves(four, "svg")
    assert b"<image" not in svg
    assert b"base64" not in svg
    for label in (b"good YUV", b"blind", b"precision over recall", b"TOY, 6 pairs"):
        assert label in svg


def test_the_sheet_shows_worst_to_best_with_one_panel_for_each_column(four: Outcome) -> None:
    with Image.open(io.BytesIO(contact_sheet(four))) as sheet:
        pixels = np.asarray(sheet.convert("RGB")).astype(int)
    # Six small pictures, whose maps are grey and whose discs are red.
    red = (pixels[..., 0] > pixels[..., 1] + 100).sum()
    assert 6 * 200 < red < 6 * 40 * 60
    assert pixels.shape[1] >= 6 * 168
