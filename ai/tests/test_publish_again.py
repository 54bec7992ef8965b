"""What is found out about a published model later, and what becomes of it when the model comes anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from records import PUBLISHED, Folders, altered, no_pictures
from vmaf_train.errors import PublishError
from vmaf_train.files import sha256_bytes
from vmaf_train.publish import publish_quantised, republish_card
from vmaf_train.registry import load_sidecar
from vmaf_train.run_record import RunRecord

QUANTISED = {
    **{"size_bytes": 10, "method": "static", "calibration": 4, "ops": ["Conv"], "metric": "iou"},
    **{"samples": 61, "float_value": 0.6, "int8_value": 0.59, "max_fall": 0.1, "threads": 1},
    "milliseconds": {"256x256": [2.0, 1.0]},
}
EVALUATION = {
    **{"dataset": "SET", "protocol": "fed at native size", "pairs": 3, "digest": "e" * 64},
    **{"date": "2024-06-07", "licence": "free", "metrics": {"F max": {"value": 0.5}}},
    "curves": {"threshold": [0, 1], "precision": [0.3, 1], "recall": [1, 0], "f": [0.4, 0]},
}


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path / "out")


def with_form_and_test(folders: Folders) -> RunRecord:
    """Publish a model, an 8-bit form of it, and a test of each."""
    record, small = folders.publish(), b"eight bits"
    values = altered(record, {"quantised": {**QUANTISED, "sha256": sha256_bytes(small)}})
    record = publish_quantised(folders.models, folders.docs, values, small, no_pictures)
    tests = [{**EVALUATION, "model_sha256": digest} for digest in record.forms]
    republish_card(
        folders.models,
        folders.docs,
        record.id,
        lambda standing: altered(standing, {"evaluations": tests}),
        lambda _: {"tiny_v1_tested_curves.svg": b"<svg/>"},
    )
    return load_sidecar(folders.models, record.id).record


def test_the_very_same_file_published_again_keeps_its_8_bit_form_and_its_tests(folders: Folders) -> None:
    record = with_form_and_test(folders)
    assert len(record.evaluations) == 2
    before = folders.held()
    assert {"model/tiny_v1.int8.onnx", "docs/tiny_v1_tested_curves.svg"} <= before.keys()
    for replace in (False, True):
        folders.publish(replace=replace)
        assert folders.held() == before
    assert folders.problems() == []
    folders.publish(seed=1, replace=True)
    assert set(folders.held()) == PUBLISHED
    assert load_sidecar(folders.models, "tiny_v1").record.evaluations == ()


@pytest.mark.parametrize(
    "changes", [{"gate.value": 0.61}, {"gate.min_value": 0.2}, {"data.digest": "f" * 64}]
)
def test_judged_otherwise_or_on_other_data_the_same_file_keeps_its_tests_and_loses_its_8_bit_form(
    folders: Folders, changes: dict[str, object]
) -> None:
    with_form_and_test(folders)
    folders.publish(replace=True, changes=changes, pictures=lambda _: {"tiny_v1_tested_curves.svg": b"anew"})
    record = load_sidecar(folders.models, "tiny_v1").record
    assert folders.held()["docs/tiny_v1_tested_curves.svg"] == b"anew"
    assert record.quantised is None
    assert not (folders.models / "tiny_v1.int8.onnx").exists()
    assert len(record.evaluations) == 1
    assert folders.problems() == []


def test_the_same_file_beside_a_damaged_sidecar_needs_replace(folders: Folders) -> None:
    with_form_and_test(folders)
    (folders.models / "tiny_v1.json").write_text("{}")
    before = folders.held()
    with pytest.raises(PublishError, match=r"tiny_v1\.json"):
        folders.publish()
    assert folders.held() == before
    folders.publish(replace=True)
    assert set(folders.held()) == PUBLISHED


def test_an_8_bit_form_goes_into_the_record_that_stands_when_it_is_published(folders: Folders) -> None:
    record, small = folders.publish(), b"eight bits"
    old = altered(record, {"quantised": {**QUANTISED, "sha256": sha256_bytes(small)}})
    test = {**EVALUATION, "model_sha256": next(iter(record.forms))}
    republish_card(
        folders.models,
        folders.docs,
        record.id,
        lambda standing: altered(standing, {"evaluations": [test], "card.summary": "Meanwhile."}),
        no_pictures,
    )
    found = publish_quantised(folders.models, folders.docs, old, small, no_pictures)
    assert found == load_sidecar(folders.models, record.id).record
    assert (len(found.evaluations), found.card.summary, found.quantised) == (1, "Meanwhile.", old.quantised)
    folders.publish(seed=1, replace=True)
    before = folders.held()
    with pytest.raises(PublishError, match="a form of other bytes"):
        publish_quantised(folders.models, folders.docs, old, small, no_pictures)
    assert folders.held() == before


def test_a_card_is_made_anew_with_what_was_added_to_the_record(folders: Folders) -> None:
    record = folders.publish()
    assert record.export is not None
    more = altered(record, {"card.summary": "Two words.", "card.title": "Another title"})
    republish_card(folders.models, folders.docs, "tiny_v1", lambda _: more, no_pictures)
    assert "Two words." in (folders.models / "tiny_v1_card.md").read_text()
    assert folders.rows()[0]["description"] == "Another title"
    assert load_sidecar(folders.models, "tiny_v1").record == more
    assert folders.problems() == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda record: altered(record, {"id": "other"}), "a record of other bytes"),
        (lambda record: altered(record, {"export.sha256": "0" * 64}), "a record of other bytes"),
        (lambda record: altered(record, {"export": None}), "a record of other bytes"),
    ],
)
def test_a_card_of_another_file_is_refused(
    folders: Folders, change: Callable[[RunRecord], RunRecord], found: str
) -> None:
    folders.publish()
    before = folders.held()
    with pytest.raises(PublishError, match=found):
        republish_card(folders.models, folders.docs, "tiny_v1", change, no_pictures)
    with pytest.raises(PublishError, match="no such row"):
        republish_card(folders.models, folders.docs, "other", change, no_pictures)
    assert folders.held() == before
