"""Cards and pages say of each part of a run where it was trained, and claim no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from records import tiny_record
from vmaf_train.environment import TrainingPart
from vmaf_train.model_card import render_card, render_failure, render_page
from vmaf_train.run_record import RunRecord

HERE: dict[str, Any] = tiny_record().environment.model_dump(mode="json")
THERE = {**HERE, "device_name": "Another processor", "threads": 8}


@pytest.mark.parametrize("render", [render_card, render_page, render_failure])
def test_a_run_of_several_parts_tells_each_and_promises_no_equal_bytes(
    render: Callable[[RunRecord], str],
) -> None:
    parts = [{"epochs": 1}, {"epochs": 1, "step": 5, "environment": THERE}]
    changes = {"training.parts": parts, "training.byte_reproducible": False}
    text = render(tiny_record(changes=changes))
    assert "\nUp to epoch 1 it was trained on a machine that is not recorded.\n" in text
    assert (
        "\nFrom there up to step 5 of epoch 2 it was trained on Another processor (cpu, float32, 8 thr"
        in text
    )
    assert (
        "\nThe rest was trained on A processor (cpu, float32, 3 threads), Python 3.11.7, torch 2.9.0" in text
    )
    assert "\nEqual bytes are not promised: the run was not made in one environment.\n" in text
    assert "same bytes" not in text


def test_a_run_that_was_wholly_trained_elsewhere_is_not_said_to_be_trained_where_it_was_exported() -> None:
    changes = {"training.parts": [{"epochs": 2, "environment": THERE}], "training.byte_reproducible": False}
    text = render_card(tiny_record(changes=changes))
    assert "\nUp to epoch 2 it was trained on Another processor (" in text
    assert "\nMeasured and exported on A processor (" in text


def test_a_run_in_one_environment_is_told_in_one_sentence() -> None:
    text = render_card(tiny_record())
    assert (
        "\nTrained on A processor (cpu, float32, 3 threads), Python 3.11.7, torch 2.9.0, onnx 1.19.0" in text
    )
    assert "it was trained on" not in text
    assert "the same bytes; on others" in text


def test_a_page_leaves_out_resumptions_of_a_finished_run() -> None:
    text = render_page(tiny_record(changes={"training.resumed_at": [1, 2, 2]}))
    assert "taken up again after epoch 1.\n" in text
    assert "taken up again" not in render_page(tiny_record(changes={"training.resumed_at": [2]}))


def test_a_part_ends_with_an_epoch_or_within_one() -> None:
    assert TrainingPart(epochs=21).end == "epoch 21"
    assert TrainingPart(epochs=21, step=5).end == "step 5 of epoch 22"


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"commit": "ba9876543210"}, True),
        ({"commit": None}, True),
        ({"code": "c2"}, False),
        ({"code": None}, False),
        ({"threads": 99}, False),
        ({"torch": "1.0"}, False),
    ],
)
def test_a_commit_that_changes_no_code_is_the_same_place(change: dict[str, object], same: bool) -> None:
    here = tiny_record(changes={"environment.commit": "0123456789ab", "environment.code": "c1"}).environment
    other = here.model_copy(update=change)
    assert here.same_as(other) is same
    assert other.same_as(here) is same
    assert not here.same_as(None)
