"""The example plugin as somebody else's package: built, installed where it never was, and run."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from fresh import FreshEnvironment, make_environment
from vmaf_train.op_allowlist import check_model
from vmaf_train.registry import load_registry
from vmaf_train.run_record import RunRecord
from vmaf_train.verify import verify_problems

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "third_party_task"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> FreshEnvironment:
    """An environment into which the example's wheel was installed."""
    root = tmp_path_factory.mktemp("third_party")
    environment = make_environment(root / "venv")
    built = environment.run("pip", "wheel", "--quiet", "--wheel-dir", root / "wheels", EXAMPLE, cwd=root)
    assert built.returncode == 0, built.stderr
    (wheel,) = (root / "wheels").iterdir()
    installed = environment.run("pip", "install", "--quiet", wheel, cwd=root)
    assert installed.returncode == 0, installed.stderr
    return environment


def test_the_example_is_four_small_files() -> None:
    sources = list((EXAMPLE / "src").rglob("*.py"))
    lines = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in sources}
    assert set(lines) == {"__init__.py", "data.py", "model.py", "task.py"}
    assert max(lines.values()) <= 100


def test_the_wheel_holds_the_package_and_its_entry_point(fresh: FreshEnvironment) -> None:
    (wheel,) = (fresh.folder.parent / "wheels").iterdir()
    names = zipfile.ZipFile(wheel).namelist()
    assert {name for name in names if name.endswith(".py")} == {
        f"noise_level/{name}.py" for name in ("__init__", "data", "model", "task")
    }
    (points,) = (name for name in names if name.endswith("entry_points.txt"))
    assert b"[vmaf_train.tasks]\nnoise_level = noise_level:PLUGIN" in zipfile.ZipFile(wheel).read(points)


def test_the_task_is_listed_beside_the_built_in_ones(fresh: FreshEnvironment, tmp_path: Path) -> None:
    ran = fresh.run("vmaf-train", "tasks", "--json", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    rows = {row["name"]: row for row in json.loads(ran.stdout)}
    assert rows["noise_level"]["state"] == "ok", rows
    assert rows["noise_level"]["distribution"] == "noise-level"
    assert rows["saliency_student"]["state"] == "ok"


def test_the_task_learns_and_is_registered_with_its_card(fresh: FreshEnvironment, tmp_path: Path) -> None:
    ran = fresh.run("vmaf-train", "run", "noise_level", "--json", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    record = RunRecord.model_validate_json(ran.stdout)
    assert record.gate.passed
    assert record.gate.value is not None
    # The gate means something: weights that had learned nothing would score near 0.
    assert record.gate.value > record.gate.min_value > 0.5
    models, docs = tmp_path / "build" / "model" / "tiny", tmp_path / "build" / "docs" / "ai" / "models"
    (row,) = load_registry(models).models
    assert (row.id, row.kind, row.smoke) == ("noise_level_v0", "nr", True)
    assert check_model(models / row.onnx).ok
    card = (models / "noise_level_v0_card.md").read_text(encoding="utf-8")
    for text in ("noise of a video frame", "drawn frames", f"{record.gate.value:.4f}", row.sha256):
        assert text in card
    assert verify_problems(models, docs) == []
    (sheet,) = (tmp_path / "build" / "runs").rglob("contact_sheet.png")
    assert sheet.stat().st_size > 1000
