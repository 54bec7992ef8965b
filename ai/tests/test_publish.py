from __future__ import annotations

import functools
import multiprocessing
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from records import PUBLISHED, Folders, no_pictures, publish_apart, python, tiny_model, tiny_record
from vmaf_train import publish, staging
from vmaf_train.errors import ConfigError, PublishError
from vmaf_train.files import sha256_file
from vmaf_train.model_card import render_card, render_page
from vmaf_train.publish import (
    check_can_publish,
    expected_texts,
    publish_failure,
    publish_model,
    republish_card,
)
from vmaf_train.registry import load_registry, load_sidecar, registry_entry
from vmaf_train.run_record import RunRecord
from vmaf_train.staging import STAGING_NAME


def unchanged(record: RunRecord) -> RunRecord:
    return record


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path / "out")


def test_a_publication_is_all_files_of_the_model_and_verify_agrees(folders: Folders) -> None:
    record = folders.publish()
    held = folders.held()
    assert set(held) == PUBLISHED
    assert held["model/tiny_v1.onnx"] == tiny_model()
    assert held["model/tiny_v1_card.md"].decode() == render_card(record)
    assert held["docs/tiny_v1.md"].decode() == render_page(record)
    assert load_sidecar(folders.models, "tiny_v1").record == record
    assert [row["sha256"] for row in folders.rows()] == [sha256_file(folders.models / "tiny_v1.onnx")]
    assert folders.problems() == []


def test_the_answer_names_what_was_written_the_registry_last(tmp_path: Path) -> None:
    onnx = tiny_model()
    written = publish_model(
        tiny_record(),
        onnx,
        model_dir=tmp_path / "m",
        docs_dir=tmp_path / "d",
        replace=False,
        figures={"tiny_v1_curves.svg": b"x"},
    )
    assert (written[0].name, written[-1].name) == ("tiny_v1.onnx", "registry.json")
    assert all(path.is_file() for path in written)


def test_an_id_twice_needs_replace_and_leaves_one_row(folders: Folders) -> None:
    folders.publish(seed=1)
    before = folders.held()
    with pytest.raises(ConfigError, match=r"model tiny_v1: .*--replace"):
        folders.publish(seed=2)
    assert folders.held() == before
    folders.publish(seed=2, replace=True)
    assert set(folders.held()) == PUBLISHED
    assert [row["id"] for row in folders.rows()] == ["tiny_v1"]
    assert (folders.models / "tiny_v1.onnx").read_bytes() == tiny_model(2)
    assert folders.problems() == []


def test_the_very_same_file_may_be_published_again(folders: Folders) -> None:
    folders.publish()
    before = folders.held()
    folders.publish()
    assert folders.held() == before


@pytest.mark.parametrize("seed", [0, 1])
def test_a_smoke_model_never_takes_the_place_of_a_real_one(folders: Folders, seed: int) -> None:
    folders.publish()
    before = folders.held()
    with pytest.raises(ConfigError, match="a smoke model never replaces a real one"):
        folders.publish(seed=seed, replace=True, changes={"smoke": True})
    assert folders.held() == before
    folders.publish("smoke_v0", changes={"smoke": True})
    folders.publish("smoke_v0", 1, replace=True, changes={"smoke": False})
    assert [row["smoke"] for row in folders.rows()] == [False, False]


def test_old_companions_of_the_file_are_removed(folders: Folders) -> None:
    folders.publish()
    for name in ("tiny_v1.onnx.data", "tiny_v1.int8.onnx", "tiny_v1.int8.onnx.data"):
        (folders.models / name).write_bytes(b"stale")
    folders.publish(seed=1, replace=True)
    assert set(folders.held()) == PUBLISHED
    assert folders.problems() == []


@pytest.mark.parametrize("text", ["", "{", '{"models": NaN}', '{"models": []}\r\n', '{"models": [{}]}'])
def test_a_damaged_registry_stops_a_publication_and_is_not_touched(folders: Folders, text: str) -> None:
    folders.models.mkdir(parents=True)
    (folders.models / "registry.json").write_bytes(text.encode())
    with pytest.raises(PublishError, match=r"registry\.json"):
        folders.publish()
    assert folders.held() == {"model/registry.json": text.encode()}
    with pytest.raises(PublishError, match=r"registry\.json"):
        check_can_publish(folders.models, folders.docs, registry_entry(tiny_record()), replace=True)


def test_bytes_of_another_file_are_not_published(folders: Folders) -> None:
    for record, onnx in ((tiny_record(), tiny_model(1)), (tiny_record(changes={"export": None}), b"")):
        with pytest.raises(PublishError, match=r"tiny_v1\.onnx: expected the recorded bytes"):
            publish_model(
                record, onnx, model_dir=folders.models, docs_dir=folders.docs, replace=False, figures={}
            )
    assert not folders.root.exists()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"card.title": "t" * 257}, "registry row of tiny_v1: .*description: "),
        ({"gate.metric": "m" * 600}, "registry row of tiny_v1: .*notes: "),
        ({"license": "l" * 65}, "registry row of tiny_v1: .*license: "),
        ({"id": "registry"}, "registry row of registry: .*id: .*reserved"),
        ({"export.inputs.0.name": "quant_mode"}, "sidecar of tiny_v1: .*input_name"),
        ({"export.outputs.0.name": "x" * 65}, "sidecar of tiny_v1: .*output_name"),
        ({"card.summary": "x" * (1 << 20)}, "expected at most 1048576 bytes"),
    ],
)
def test_a_record_that_breaks_a_schema_is_told_in_one_line_and_nothing_is_written(
    folders: Folders, changes: dict[str, Any], fault: str
) -> None:
    with pytest.raises(PublishError, match=fault) as caught:
        folders.publish(changes=changes)
    assert "\n" not in str(caught.value)
    assert folders.held() == {}


def test_what_cannot_be_published_is_refused_before_training_and_nothing_is_made(folders: Folders) -> None:
    entry = registry_entry(tiny_record())
    check_can_publish(folders.models, folders.docs, entry, replace=False)
    assert not folders.root.exists()
    folders.publish(seed=1)
    with pytest.raises(ConfigError, match="--replace"):
        check_can_publish(folders.models, folders.docs, entry, replace=False)
    check_can_publish(folders.models, folders.docs, entry, replace=True)
    smoke = registry_entry(tiny_record(changes={"smoke": True}))
    with pytest.raises(ConfigError, match="never replaces a real one"):
        check_can_publish(folders.models, folders.docs, smoke, replace=True)
    blocked = folders.models / "README.md"
    for models, docs in ((blocked, folders.docs), (folders.models, blocked / "docs")):
        with pytest.raises(PublishError, match=r"README\.md is no folder"):
            check_can_publish(models, docs, entry, replace=True)


def stopped_after_the_manifest(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop_when_staged(models: Path, docs: Path) -> bool:
        if (models / STAGING_NAME).exists():
            raise SystemExit
        return False

    with monkeypatch.context() as patched:
        patched.setattr(publish, "finish_staged", stop_when_staged)
        with pytest.raises(SystemExit):
            folders.publish(seed=1)


def test_the_check_before_training_counts_a_publication_that_was_stopped(
    folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped_after_the_manifest(folders, monkeypatch)
    with pytest.raises(ConfigError, match="--replace"):
        check_can_publish(folders.models, folders.docs, registry_entry(tiny_record()), replace=False)
    assert folders.problems() == []


class Stopped(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("finish", ["verify", "publish", "card"])
@pytest.mark.parametrize("after", [False, True])
def test_stopped_at_any_write_the_model_is_whole_or_absent_after_the_next_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, finish: str, after: bool
) -> None:
    writers = {name: staging.__dict__[name] for name in ("write_atomic", "link_atomic")}
    for point in range(1, 100):
        folders = Folders(tmp_path / f"{point}")
        folders.publish("other", 7)
        before, left = folders.held(), point

        def stopping(write: Callable[..., None], *arguments: object) -> None:
            nonlocal left
            left -= 1
            if left == 0 and not after:
                raise Stopped
            write(*arguments)
            if left == 0:
                raise Stopped

        for name, write in writers.items():
            monkeypatch.setattr(staging, name, functools.partial(stopping, write))
        try:
            folders.publish()
        except Stopped:
            stopped = True
        else:
            stopped = False
        for name, write in writers.items():
            monkeypatch.setattr(staging, name, write)
        if finish == "publish":
            folders.publish("other", 7)
        elif finish == "card":
            republish_card(folders.models, folders.docs, "other", unchanged, no_pictures)
        assert folders.problems() == []
        if folders.held() != before:
            assert set(folders.held()) == PUBLISHED | set(before)
            assert [row["id"] for row in folders.rows()] == ["other", "tiny_v1"]
        if not stopped:
            break
    assert point > 15


KILLED = """
import sys
from pathlib import Path
from records import Folders, killed_before_each_change, tiny_model, tiny_record
Folders(Path(sys.argv[2]) / "warm").publish("warm")
seed, replace = int(sys.argv[3]), bool(int(sys.argv[4]))
model, record = tiny_model(seed), tiny_record(onnx=tiny_model(seed))
print(killed_before_each_change(
    Path(sys.argv[1]), Path(sys.argv[2]), lambda folders: folders.publish(seed=seed, replace=replace)
))
"""


@pytest.mark.parametrize("replace", [False, True])
def test_killed_before_any_change_of_the_disk_the_folder_is_the_old_state_or_the_new(
    tmp_path: Path, replace: bool
) -> None:
    start, whole = Folders(tmp_path / "start"), Folders(tmp_path / "whole")
    start.publish("other", 7)
    if replace:
        start.publish(seed=1)
        (start.models / "tiny_v1.onnx.data").write_bytes(b"stale")
    shutil.copytree(start.root, whole.root)
    whole.publish(seed=2, replace=True)
    old, new = start.held(), whole.held()
    ran = python(KILLED, start.root, tmp_path / "work", 2, int(replace))
    assert ran.returncode == 0, ran.stderr
    points = int(ran.stdout)
    assert points > 50
    ends = []
    for point in range(1, points + 1):
        folders = Folders(tmp_path / "work" / str(point))
        problems = folders.problems()
        held = folders.held()
        assert held in (old, new), (point, sorted(held.items() ^ new.items()))
        assert problems == (start.problems() if held == old else [])
        ends.append(held == new)
        folders.publish(seed=2, replace=True)
        assert folders.held() == new
    # Once it counts as made it is made, whatever happens after.
    assert ends == sorted(ends)
    assert {False, True} == set(ends)


def test_two_processes_that_publish_at_once_lose_no_row_and_one_id_goes_to_one(folders: Folders) -> None:
    context = multiprocessing.get_context("spawn")
    jobs = [("a", 1), ("b", 2), ("same", 3), ("same", 4)]
    with context.Manager() as manager, context.Pool(len(jobs)) as pool:
        waiting = manager.Barrier(len(jobs))
        answers = pool.starmap(publish_apart, [(str(folders.root), *job, waiting) for job in jobs])
    assert answers[:2] == ["", ""]
    lost = next(answer for answer in answers[2:] if answer)
    assert answers.count("") == 3
    assert lost.startswith("ConfigError: model same: expected an id that")
    assert [row["id"] for row in folders.rows()] == ["a", "b", "same"]
    won = 3 if not answers[2] else 4
    assert (folders.models / "same.onnx").read_bytes() == tiny_model(won)
    assert [problem for problem in folders.problems() if "curves.svg" not in problem] == []


def test_a_failure_is_a_page_and_its_curves_and_nothing_else(folders: Folders) -> None:
    record = tiny_record(changes={"export": None, "gate.value": None, "gate.passed": False})
    page = publish_failure(record, folders.docs, {"tiny_v1_failed_curves.svg": b"<svg/>"})
    assert page.name == "tiny_v1_failed.md"
    assert set(folders.held()) == {"docs/tiny_v1_failed.md", "docs/tiny_v1_failed_curves.svg"}
    assert "(tiny_v1_failed_curves.svg)" in page.read_text()


def test_a_failure_leaves_a_standing_model_of_its_id_as_it_was_and_the_next_success_removes_it(
    folders: Folders,
) -> None:
    folders.publish(seed=1)
    before = folders.held()
    failed = tiny_record(changes={"export": None, "gate.value": None, "gate.passed": False})
    publish_failure(failed, folders.docs, {"tiny_v1_failed_curves.svg": b"<svg/>"})
    page, picture = "docs/tiny_v1_failed.md", "docs/tiny_v1_failed_curves.svg"
    assert {name: data for name, data in folders.held().items() if name not in {page, picture}} == before
    assert folders.problems() == []
    folders.publish(seed=2, replace=True)
    assert set(folders.held()) == PUBLISHED


def test_a_page_by_hand_that_is_named_as_a_failure_stays(folders: Folders) -> None:
    folders.docs.mkdir(parents=True)
    (folders.docs / "tiny_v1_failed.md").write_text("# tiny_v1 failed me\n")
    folders.publish()
    assert set(folders.held()) == {*PUBLISHED, "docs/tiny_v1_failed.md"}


@pytest.mark.parametrize("name", ["", "quant_mode", "x" * 65, "\N{DEGREE SIGN}" * 33])
def test_a_tensor_name_that_the_sidecar_refuses_is_told_before_training(folders: Folders, name: str) -> None:
    entry = registry_entry(tiny_record())
    check_can_publish(folders.models, folders.docs, entry, replace=False, tensors=("input", "x" * 64))
    with pytest.raises(ConfigError, match=r"export spec of tiny_v1: .* 1 to 64 bytes") as caught:
        check_can_publish(folders.models, folders.docs, entry, replace=False, tensors=("input", name))
    assert "\n" not in str(caught.value)


def test_expected_texts_are_card_and_page(folders: Folders) -> None:
    record = folders.publish()
    entry = load_registry(folders.models).models[0]
    texts = expected_texts(record, entry, folders.models, folders.docs)
    assert {path.read_text() for path in texts} == set(texts.values())
    assert {path.name for path in texts} == {"tiny_v1_card.md", "tiny_v1.md"}


def test_one_folder_may_hold_models_and_pages(tmp_path: Path) -> None:
    class Together(Folders):
        @property
        def docs(self) -> Path:
            return self.models

    folders = Together(tmp_path)
    folders.publish()
    folders.publish("other")
    assert folders.problems() == []
