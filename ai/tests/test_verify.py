from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from records import Folders, tiny_record
from vmaf_train.errors import PublishError
from vmaf_train.publish import publish_failure
from vmaf_train.scan_state import MAX_MODEL_BYTES
from vmaf_train.verify import verify_problems


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    folders = Folders(tmp_path / "out")
    folders.publish("a")
    folders.publish("b", 1)
    return folders


def edit_row(folders: Folders, **changes: object) -> None:
    path = folders.models / "registry.json"
    values = json.loads(path.read_text())
    values["models"][0] |= changes
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def edit_sidecar(folders: Folders, change: Callable[[dict[str, object]], object]) -> None:
    path = folders.models / "a.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def replace_text(path: Path, old: bytes, new: bytes) -> None:
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new))


def test_what_was_published_agrees(folders: Folders) -> None:
    assert folders.problems() == []


def test_looking_changes_nothing(folders: Folders) -> None:
    before = folders.held()
    folders.problems()
    assert folders.held() == before


@pytest.mark.parametrize(
    "name",
    [
        "model/a.onnx",
        "model/a.json",
        "model/a_card.md",
        "model/README.md",
        "model/registry.schema.json",
        "docs/a.md",
        "docs/a_curves.svg",
    ],
)
def test_a_missing_file_is_named(folders: Folders, name: str) -> None:
    (folders.root / name).unlink()
    (problem,) = folders.problems()
    assert name.rpartition("/")[2] in problem


@pytest.mark.parametrize(
    "name",
    [
        "c.onnx",
        "c.json",
        "c_card.md",
        "a.onnx.data",
        "a.int8.onnx",
        "A.onnx",
        "notes.md",
        "registry.json.json",
    ],
)
def test_a_file_without_a_row_is_named(folders: Folders, name: str) -> None:
    (folders.models / name).write_bytes(b"x")
    assert folders.problems() == [f"{name}: no row of registry.json names it"]


def test_a_generated_page_without_a_row_is_named_and_one_by_hand_or_of_a_failure_is_not(
    folders: Folders,
) -> None:
    page = (folders.docs / "a.md").read_text()
    (folders.docs / "c.md").write_text(page.replace("card a;", "card c;"))
    (folders.docs / "notes.md").write_text(page)
    (folders.docs / "index.md").write_text("# Models\n\nSee [c](c.md).\n")
    (folders.docs / "short.md").write_bytes(b"\xff")
    (folders.docs / "folder.md").mkdir()
    failed = tiny_record("d", changes={"export": None, "gate.value": None, "gate.passed": False})
    publish_failure(failed, folders.docs, {})
    (problem,) = folders.problems()
    assert problem.startswith("c.md: a generated page, and no row of registry.json names its model; ")


def test_a_failure_page_in_the_folder_of_models_and_pages_is_no_problem(tmp_path: Path) -> None:
    publish_failure(tiny_record(changes={"export": None}), tmp_path, {"tiny_v1_failed_curves.svg": b""})
    assert verify_problems(tmp_path, tmp_path) == ["registry.json: missing"]
    assert verify_problems(tmp_path, tmp_path / "." / ".." / tmp_path.name) == ["registry.json: missing"]
    (tmp_path / "tiny_v1_failed.md").write_text("by hand")
    assert len(verify_problems(tmp_path, tmp_path)) == 2


def test_a_row_without_files_is_named_with_each_of_them(folders: Folders) -> None:
    for path in [*folders.models.glob("a*"), *folders.docs.glob("a*")]:
        path.unlink()
    problems = folders.problems()
    assert any("a.onnx is missing" in problem for problem in problems)
    assert any("a.json" in problem for problem in problems)


def test_files_whose_row_is_gone_are_named_each(folders: Folders) -> None:
    path = folders.models / "registry.json"
    values = json.loads(path.read_text())
    del values["models"][0]
    path.write_text(json.dumps(values, indent=2) + "\n")
    problems = folders.problems()
    for name in ("a.onnx", "a.json", "a_card.md"):
        assert f"{name}: no row of registry.json names it" in problems
    assert "README.md: differs from what its record renders" in problems


STALE = "{}: differs from what its record renders"


@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        ("model/a_card.md", b"0.6012", b"0.9012", STALE.format("a_card.md")),
        ("model/a_card.md", b"\n", b"\r\n", STALE.format("a_card.md")),
        ("docs/a.md", b"It marks toys.", b"It marks all.", STALE.format("a.md")),
        ("model/README.md", b"a toy", b"a net", STALE.format("README.md")),
        ("model/registry.schema.json", b"512", b"513", STALE.format("registry.schema.json")),
        ("model/registry.json", b"  ", b" ", STALE.format("registry.json")),
        ("model/a.json", b"  ", b" ", STALE.format("a.json")),
        ("model/a.json", b"\n", b"\r\n", "a: .*a\\.json: .*CRLF line ends"),
        ("model/a.json", b'"steps": 1572', b'"steps": 1572.0', STALE.format("a.json")),
        ("model/a.json", b"0.6012", b"NaN", "a: .*NaN is no JSON number"),
        (
            "model/a.json",
            b'"onnx_opset": 17',
            b'"onnx_opset": 18',
            "a: .*onnx_opset is 18, the record says 17",
        ),
        ("model/a.onnx", b"Conv", b"Cons", "a: a\\.onnx has sha256 .*, its row says "),
    ],
)
def test_a_changed_file_is_named(folders: Folders, name: str, old: bytes, new: bytes, problem: str) -> None:
    replace_text(folders.root / name, old, new)
    (found,) = folders.problems()
    assert re.search(problem, found), found


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"sha256": "0" * 64}, "a: a.onnx has sha256"),
        ({"opset": 18}, "a: opset is 18 in its row, 17 by its record"),
        ({"license": "MIT"}, "a: license is 'MIT' in its row"),
        ({"description": "b"}, "a: description is 'b' in its row"),
        ({"notes": ""}, "a: notes is '' in its row"),
        ({"smoke": True}, "a: smoke is True in its row"),
        ({"kind": "fr"}, "a: kind is 'fr' in its row"),
        ({"onnx": "b.onnx"}, "a: onnx is 'b.onnx' in its row"),
        ({"quant_mode": "int8"}, "a: quant_mode is 'int8' in its row, 'fp32' in its sidecar"),
        ({"int8_sha256": "0" * 64}, "a: a.int8.onnx is missing"),
        ({"int8_sha256": "0" * 64}, "a: int8_sha256 is '0000"),
    ],
)
def test_a_row_that_was_edited_by_hand_is_named(
    folders: Folders, changes: dict[str, object], problem: str
) -> None:
    edit_row(folders, **changes)
    assert any(found.startswith(problem) for found in folders.problems())


def test_rows_out_of_order_are_named(folders: Folders) -> None:
    path = folders.models / "registry.json"
    values = json.loads(path.read_text())
    values["models"].reverse()
    path.write_text(json.dumps(values, indent=2) + "\n")
    assert STALE.format("registry.json") in folders.problems()


def test_a_record_that_renders_nothing_is_a_problem_and_not_the_end_of_the_check(folders: Folders) -> None:
    def spoil(values: dict[str, object]) -> None:
        record = values["record"]
        assert isinstance(record, dict)
        record["card"]["title"] = "t" * 300

    edit_sidecar(folders, spoil)
    (folders.docs / "b.md").unlink()
    first, second = folders.problems()
    assert first.startswith("a: its record renders nothing: ")
    assert second == "b.md: missing"


def test_a_model_larger_than_the_loader_takes_is_named(folders: Folders) -> None:
    with (folders.models / "a.onnx").open("r+b") as stream:
        stream.truncate(MAX_MODEL_BYTES + 1)
    (problem,) = folders.problems()
    assert problem == f"a: a.onnx is larger than {MAX_MODEL_BYTES} bytes"


def test_all_problems_of_all_models_are_told_at_once(folders: Folders) -> None:
    (folders.models / "a.onnx").unlink()
    (folders.docs / "b.md").unlink()
    (folders.models / "c.onnx").write_bytes(b"x")
    assert len(folders.problems()) == 3


def test_a_folder_without_a_registry_is_a_problem_and_a_fresh_empty_one_is_not(tmp_path: Path) -> None:
    models, docs = tmp_path / "model", tmp_path / "docs"
    assert verify_problems(models, docs) == ["registry.json: missing"]
    assert not models.exists()
    models.mkdir()
    (models / "registry.json").write_text('{"schema_version": 1, "models": []}\n')
    assert verify_problems(models, docs) == []


@pytest.mark.parametrize("data", [b"", b'{"models": [NaN]}', b'{"models": []}\r\n'])
def test_a_damaged_registry_stops_the_check_and_is_not_touched(folders: Folders, data: bytes) -> None:
    path = folders.models / "registry.json"
    path.write_bytes(data)
    with pytest.raises(PublishError, match=r"registry\.json.*restore it from version control"):
        folders.problems()
    assert path.read_bytes() == data
