from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from records import altered, tiny_record
from vmaf_train.files import dump_json
from vmaf_train.run_record import Figure, RunRecord, decimal_text, finite_or_none

NOT_FINITE = [float("nan"), float("inf"), -float("inf")]


def strictly(text: str) -> Any:
    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    return json.loads(text, parse_constant=refuse)


def test_a_figure_that_is_no_number_becomes_null() -> None:
    values = {"iou": float("nan"), "mae": float(np.float32(0.5)), "loss": -float("inf"), "zero": 0}
    assert finite_or_none(values) == {"iou": None, "mae": 0.5, "loss": None, "zero": 0.0}
    assert strictly(dump_json(finite_or_none(values)))["iou"] is None


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize(
    "key",
    [
        "gate.value",
        "gate.metrics.iou",
        "gate.min_value",
        "training.history.0.loss",
        "training.history.1.metrics.mae",
        "training.seconds",
        "export.parity.0.max_abs_diff",
        "export.parity_limit",
    ],
)
def test_no_number_of_a_record_can_be_nan_or_infinite(key: str, value: float) -> None:
    with pytest.raises(ValidationError, match=r"finite number|greater than or equal"):
        tiny_record(changes={key: value})


def test_nan_in_free_config_data_never_reaches_json() -> None:
    record = tiny_record(changes={"config": {"odd": float("nan"), "deep": [float("inf")]}})
    assert strictly(record.model_dump_json())["config"] == {"odd": None, "deep": [None]}
    assert strictly(dump_json(record.model_dump(mode="json")))["config"] == {"odd": None, "deep": [None]}


def test_a_record_from_before_twins_were_counted_says_that_they_were_not() -> None:
    record = json.loads(tiny_record(changes={"data.held_out_twins": 2}).model_dump_json())
    del record["data"]["held_out_twins"]
    old = RunRecord.model_validate(record)
    assert old.data is not None
    assert old.data.held_out_twins is None


def test_a_record_comes_back_from_json_unchanged() -> None:
    record = tiny_record(changes={"gate.metrics.iou": None, "training.history.0.loss": 1e-300})
    text = record.model_dump_json()
    assert RunRecord.model_validate_json(text) == record
    assert RunRecord.model_validate(strictly(text)).model_dump_json() == text


@pytest.mark.parametrize(
    "key", ["extra", "gate.iou", "data.corpora.0.path", "export.parity.0.extra", "card.notes"]
)
def test_an_unknown_key_is_refused_at_every_level(key: str) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        tiny_record(changes={key: 1})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("config_digest", "C" * 64),
        ("data.digest", "d" * 63),
        ("finished", "6.5.2024"),
        ("format", 2),
        ("kind", "xr"),
        ("export.parity", []),
        ("export.inputs", []),
        ("export.outputs", []),
        ("export.size_bytes", 0),
    ],
)
def test_a_record_that_says_nothing_sound_is_refused(key: str, value: object) -> None:
    with pytest.raises(ValidationError, match=key):
        tiny_record(changes={key: value})


def test_the_worst_parity_is_the_largest_of_all_probes() -> None:
    probe = {"height": 8, "width": 8, "values": "zeros", "max_abs_diff": 0.0}
    record = altered(tiny_record(), {"export.parity": [probe, {**probe, "max_abs_diff": 2e-6}, probe]})
    assert record.export is not None
    assert record.export.worst_parity == 2e-6


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        tiny_record().id = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("value", "plain", "signed"),
    [
        (0.81234, "0.8123", "+0.8123"),
        (-0.02, "-0.0200", "-0.0200"),
        (0.0, "0.0000", "0.0000"),
        (-0.0, "0.0000", "0.0000"),
        (0.000016, "1.6e-05", "+1.6e-05"),
        (-0.00099, "-9.9e-04", "-9.9e-04"),
        (0.001, "0.0010", "+0.0010"),
        (120.5, "120.5000", "+120.5000"),
    ],
)
def test_a_small_number_is_never_shown_as_nothing(value: float, plain: str, signed: str) -> None:
    assert (decimal_text(value), decimal_text(value, signed=True)) == (plain, signed)


def test_a_value_below_the_least_is_never_shown_as_if_it_reached_it() -> None:
    gate = tiny_record(changes={"gate.value": 0.49997, "gate.min_value": 0.5, "gate.passed": False}).gate
    assert gate.shown == "0.49997"
    assert gate.model_copy(update={"value": 0.31234567}).shown == "0.3123"
    assert gate.model_copy(update={"value": 0.5 - 1e-12}).shown == "0.499999999999"
    assert gate.model_copy(update={"value": None}).shown == "no finite number"
    assert gate.model_copy(update={"value": 0.50001, "passed": True}).shown == "0.5000"


def test_a_figure_is_told_with_its_interval_where_it_has_one() -> None:
    assert Figure(value=0.5).text == "0.5000"
    assert Figure(value=0.5, low=0.25, high=0.0001).text == "0.5000 (0.2500 to 1.0e-04)"
