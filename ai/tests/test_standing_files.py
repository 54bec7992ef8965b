"""A publication replaces and removes only what the registry tells of."""

from __future__ import annotations

from pathlib import Path

import pytest

from records import Folders, tiny_model, tiny_record
from vmaf_train.errors import PublishError
from vmaf_train.model_card import licence_text
from vmaf_train.publish import check_can_publish, publish_failure
from vmaf_train.registry import registry_entry, registry_schema
from vmaf_train.standing_files import failure_names, is_failure_page, page_model

SHARED = ("model/README.md", "model/LICENSE", "model/registry.schema.json")
MODEL = (
    "model/tiny_v1.onnx",
    "model/tiny_v1.onnx.data",
    "model/tiny_v1.int8.onnx",
    "model/tiny_v1.int8.onnx.data",
    "model/tiny_v1.json",
    "model/tiny_v1_card.md",
)
PAGES = ("docs/tiny_v1.md", "docs/tiny_v1_curves.svg", "docs/tiny_v1_tested_curves.svg")


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    folders = Folders(tmp_path)
    folders.models.mkdir()
    folders.docs.mkdir()
    return folders


def check(folders: Folders, *, replace: bool) -> None:
    entry = registry_entry(tiny_record())
    check_can_publish(folders.models, folders.docs, entry, replace=replace)


def refused(folders: Folders, name: str, *, replace: bool) -> str:
    """Neither the check before training nor the publication takes it; the text of the refusal."""
    before, texts = folders.held(), set()
    for call in (lambda: check(folders, replace=replace), lambda: folders.publish(replace=replace)):
        with pytest.raises(PublishError) as caught:
            call()
        texts.add(str(caught.value))
    assert folders.held() == before
    (text,) = texts
    assert str(folders.root / name) in text
    return text


@pytest.mark.parametrize("name", [*SHARED, *MODEL])
def test_in_a_folder_without_a_registry_no_file_is_replaced_whatever_is_asked(
    folders: Folders, name: str
) -> None:
    (folders.root / name).write_text("of somebody else")
    for replace in (False, True):
        text = refused(folders, name, replace=replace)
        assert "choose another folder with --model-dir (or --output)" in text


def test_a_refusal_names_every_file_that_stands_there(folders: Folders) -> None:
    for name in SHARED:
        (folders.root / name).write_text("of a project")
    text = refused(folders, SHARED[0], replace=False)
    assert all(str(folders.root / name) in text for name in SHARED)


def test_a_dangling_link_is_a_file_that_stands(folders: Folders) -> None:
    (folders.models / "tiny_v1.onnx").symlink_to("nowhere")
    refused(folders, "model/tiny_v1.onnx", replace=False)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_or_picture_of_the_name_goes_only_by_replace(folders: Folders, name: str) -> None:
    for registered in (False, True):
        if registered:
            folders.publish("other", 7)
        (folders.root / name).write_text("of somebody else")
        refused(folders, name, replace=False)
        check(folders, replace=True)
    folders.publish(replace=True)
    assert folders.held().get(name) != b"of somebody else"


@pytest.mark.parametrize("name", MODEL)
def test_beside_a_registry_without_its_row_a_file_of_the_name_goes_only_by_replace(
    folders: Folders, name: str
) -> None:
    folders.publish("other", 7)
    (folders.root / name).write_text("of somebody else")
    assert "--replace" in refused(folders, name, replace=False)
    check(folders, replace=True)
    folders.publish(replace=True)
    assert folders.held().get(name) != b"of somebody else"


@pytest.mark.parametrize("name", ["tiny_v1_failed.md", "tiny_v1_failed_curves.svg"])
def test_a_file_with_the_name_of_a_failure_page_is_told_before_training(folders: Folders, name: str) -> None:
    folders.docs.mkdir(parents=True, exist_ok=True)
    (folders.docs / name).write_text("my own notes")
    for _ in range(2):
        with pytest.raises(PublishError, match=rf"the failure page of model tiny_v1: .*{name}.*--replace"):
            check(folders, replace=False)
        check(folders, replace=True)
        folders.publish("other", 7, replace=True)
    publish_failure(tiny_record(changes={"export": None}), folders.docs, {})
    check(folders, replace=False)


def test_the_very_bytes_that_would_be_written_may_stand(folders: Folders) -> None:
    licence = licence_text(tiny_record().license)
    assert licence is not None
    (folders.models / "tiny_v1.onnx").write_bytes(tiny_model())
    (folders.models / "LICENSE").write_text(licence)
    (folders.models / "registry.schema.json").write_text(registry_schema())
    check(folders, replace=False)
    folders.publish()
    assert folders.problems() == []


def test_files_of_other_names_are_left_alone(folders: Folders) -> None:
    names = ("model/tiny_v10.onnx", "model/tiny_v1.txt", "docs/README.md", "docs/LICENSE")
    for name in names:
        (folders.root / name).write_text("of somebody else")
    folders.publish()
    assert {folders.held()[name] for name in names} == {b"of somebody else"}


def test_a_licence_is_no_file_of_a_model_whose_terms_are_not_ours(folders: Folders) -> None:
    (folders.models / "LICENSE").write_text("of somebody else")
    folders.publish(changes={"license": "MIT"})
    assert folders.held()["model/LICENSE"] == b"of somebody else"


def test_generated_pages_are_told_from_those_by_hand(folders: Folders) -> None:
    folders.publish()
    page = folders.docs / "tiny_v1.md"
    assert page_model(page) == "tiny_v1"
    assert not is_failure_page(page)
    failed = publish_failure(tiny_record(changes={"export": None}), folders.docs, {})
    assert is_failure_page(failed)
    assert page_model(failed) is None
    assert failure_names(folders.docs, "tiny_v1") == ("tiny_v1_failed.md", "tiny_v1_failed_curves.svg")
    assert failure_names(folders.docs, "other") == ()
    for text in ("", "# A\n", f"# A\n\nBelow:\n{page.read_text()}"):
        page.write_text(text)
        failed.write_text(text)
        assert page_model(page) is None
        assert failure_names(folders.docs, "tiny_v1") == ()
