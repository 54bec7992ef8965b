from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from records import Folders, tiny_model
from vmaf_train.errors import ConfigError, PublishError
from vmaf_train.evaluation import attaching
from vmaf_train.evaluation.attaching import attach, require_registered
from vmaf_train.model_card import check_front_matter
from vmaf_train.registry import ModelEntry, load_sidecar, require_row
from vmaf_train.run_record import Evaluation, Figure, FrameCost, ThresholdCurves


def evaluation(sha256: str, value: float = 0.8123, protocol: str = "fed at native size; 4: #a") -> Evaluation:
    cost = FrameCost(
        width=1920,
        height=1080,
        frames=3,
        processor="A | B",
        threads=1,
        median_seconds=0.1234,
        peak_bytes=7 << 20,
    )
    return Evaluation(
        dataset="SET 1000",
        protocol=protocol,
        pairs=1000,
        digest="e" * 64,
        date="2024-06-07",
        model_sha256=sha256,
        licence="free: ask # first",
        metrics={
            "F max": Figure(value=value, low=0.8, high=0.83),
            "change under pan by 1 pixel: map": Figure(value=0.0123),
        },
        costs=(cost,),
        notes="Not compared.",
    )


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    found = Folders(tmp_path)
    found.publish()
    return found


def digest_of(folders: Folders) -> str:
    return str(folders.rows()[0]["sha256"])


def test_card_page_and_sidecar_show_the_results_and_agree(folders: Folders) -> None:
    sha256 = digest_of(folders)
    attach(folders.models, folders.docs, "tiny_v1", [evaluation(sha256)])
    assert folders.problems() == []
    card = (folders.models / "tiny_v1_card.md").read_text()
    for text in (card, (folders.docs / "tiny_v1.md").read_text()):
        assert "**SET 1000**, 1000 pairs, measured 2024-06-07: fed at native size; 4: #a." in text
        assert "Data digest `eeeeeeeeeeeeeeee`; licence: free: ask # first. Not compared." in text
        assert "| F max | 0.8123 (0.8000 to 0.8300) |" in text
        assert "| 1920x1080 | 123.4 ms | not measured | 7 MiB | A \\| B, 1 thread, 3 runs |" in text
    matter = check_front_matter(card)
    assert matter.model_index is not None
    result = matter.model_index[0].results[-1]
    assert result.dataset.type == "set-1000"
    assert result.dataset.name == "SET 1000, 1,000 pairs, fed at native size; 4: #a"
    assert [(metric.name, metric.value) for metric in result.metrics] == [
        ("F max", 0.8123),
        ("change under pan by 1 pixel: map", 0.0123),
    ]
    record = load_sidecar(folders.models, "tiny_v1").record
    assert record.evaluations == (evaluation(sha256),)


def test_the_same_test_again_replaces_its_results_and_another_is_added(folders: Folders) -> None:
    sha256 = digest_of(folders)
    attach(
        folders.models, folders.docs, "tiny_v1", [evaluation(sha256), evaluation(sha256, protocol="other")]
    )
    attach(folders.models, folders.docs, "tiny_v1", [evaluation(sha256, value=0.5)])
    found = load_sidecar(folders.models, "tiny_v1").record.evaluations
    assert [(entry.protocol, entry.metrics["F max"].value) for entry in found] == [
        ("other", 0.8123),
        ("fed at native size; 4: #a", 0.5),
    ]
    assert folders.problems() == []


def test_results_that_several_attach_at_once_all_stand(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha256, names = digest_of(folders), [f"way {number}" for number in range(4)]
    together = threading.Barrier(len(names))

    def met(model_dir: Path, model_id: str) -> ModelEntry:
        row = require_row(model_dir, model_id)
        together.wait(60)
        return row

    monkeypatch.setattr(attaching, "require_row", met)
    with ThreadPoolExecutor(len(names)) as pool:
        calls = [
            pool.submit(attach, folders.models, folders.docs, "tiny_v1", [evaluation(sha256, protocol=name)])
            for name in names
        ]
        for call in calls:
            call.result()
    found = load_sidecar(folders.models, "tiny_v1").record.evaluations
    assert sorted(test.protocol for test in found) == names
    assert folders.problems() == []


def test_curves_of_the_tests_stand_on_the_page_until_the_model_is_replaced(folders: Folders) -> None:
    sha256, picture = digest_of(folders), folders.docs / "tiny_v1_tested_curves.svg"
    curves = ThresholdCurves(
        threshold=(0.0, 0.5, 1.0), precision=(0.25, 0.5, 0.0), recall=(1.0, 0.5, 0.0), f=(0.5, 0.6, 0.0)
    )
    tests = [evaluation(sha256), evaluation(sha256, protocol="other")]
    attach(folders.models, folders.docs, "tiny_v1", tests)
    assert not picture.exists()
    written = attach(
        folders.models, folders.docs, "tiny_v1", [tests[1].model_copy(update={"curves": curves})]
    )
    assert picture in written
    drawn = picture.read_text()
    assert "SET 1000, other, 1,000 pairs" in drawn
    assert "fed at native size" not in drawn
    assert f"]({picture.name})" in (folders.docs / "tiny_v1.md").read_text()
    assert folders.problems() == []
    picture.unlink()
    assert folders.problems() == [f"{picture.name}: missing, its page shows it"]
    attach(folders.models, folders.docs, "tiny_v1", [evaluation(sha256)])
    assert picture.read_text() == drawn
    folders.publish(seed=1, replace=True)
    assert folders.problems() == []
    assert not picture.exists()


def test_results_of_other_bytes_are_refused_and_nothing_changes(folders: Folders) -> None:
    before = folders.held()
    for call in (
        lambda: attach(folders.models, folders.docs, "tiny_v1", [evaluation("f" * 64)]),
        lambda: attach(
            folders.models,
            folders.docs,
            "tiny_v1",
            [evaluation(digest_of(folders)), evaluation("f" * 64)],
        ),
        lambda: require_registered(folders.models, folders.docs, "tiny_v1", ["f" * 64, "a" * 64]),
    ):
        with pytest.raises(
            ConfigError, match=f"describes, by sha256: float32 file {digest_of(folders)}, found"
        ):
            call()
    assert folders.held() == before


def test_an_unknown_model_lists_the_known_ones(folders: Folders) -> None:
    with pytest.raises(ConfigError, match=r"model nosuch: expected a row of .*, found these: tiny_v1;"):
        require_registered(folders.models, folders.docs, "nosuch", [])


def test_the_registered_file_is_found_among_several(folders: Folders) -> None:
    sha256 = digest_of(folders)
    record = require_registered(folders.models, folders.docs, "tiny_v1", ["f" * 64, sha256])
    assert record == load_sidecar(folders.models, "tiny_v1").record


def test_a_model_replaced_meanwhile_keeps_its_own_record(folders: Folders) -> None:
    sha256 = digest_of(folders)
    folders.publish(seed=1, replace=True)
    with pytest.raises(ConfigError, match="a file that its record describes"):
        attach(folders.models, folders.docs, "tiny_v1", [evaluation(sha256)])
    assert folders.problems() == []


def test_a_damaged_sidecar_is_named(folders: Folders) -> None:
    sidecar = folders.models / "tiny_v1.json"
    sidecar.write_text(json.dumps({"name": "tiny_v1"}))
    with pytest.raises(PublishError, match=r"tiny_v1\.json: expected a valid file of its schema"):
        require_registered(folders.models, folders.docs, "tiny_v1", [tiny_model().hex()])
