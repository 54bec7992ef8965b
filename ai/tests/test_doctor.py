from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from vmaf_train import __version__, doctor, onnx_export
from vmaf_train.build_facts import installed_version
from vmaf_train.cli import main
from vmaf_train.discovery import TaskEntry
from vmaf_train.doctor import Finding, examine


def seen() -> dict[str, Finding]:
    return {finding.name: finding for finding in examine()}


@pytest.fixture(scope="module")
def healthy() -> dict[str, Finding]:
    return seen()


def only(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let the doctor look at one thing alone."""
    monkeypatch.setattr(doctor, "_LOOKS", tuple(look for look in doctor._LOOKS if look[0] == name))


def test_where_all_is_well_nothing_is_broken(healthy: dict[str, Finding]) -> None:
    assert {name: finding for name, finding in healthy.items() if finding.state == "broken"} == {}
    assert healthy["vmaf-train"].found.startswith(__version__)
    assert healthy["torch"].found.startswith(torch.__version__)
    assert re.fullmatch(r"a convolution at opset 17, onnx \S+, onnxscript \S+", healthy["exporter"].found)
    assert re.fullmatch(r"onnxruntime \S+, \d\.\de-\d\d away from torch", healthy["runtime"].found)
    assert re.fullmatch(r"\d+ operators, .*op_allowlist\.c", healthy["op list"].found)
    assert re.match(r"\d+ cores, ", healthy["processor"].found)
    assert ("AVX512-BF16" in healthy["processor"].found) == torch.cpu._is_avx512_bf16_supported()
    assert healthy["task mobilesal_placeholder"] == Finding(
        "task mobilesal_placeholder", "ok", "from vmaf-train"
    )
    assert {
        "python",
        "packages",
        "gpu",
        "training",
        "disk, here",
        "disk, cache",
        "ffmpeg",
        "extra eval",
    } <= set(healthy)


def test_whatever_is_not_well_comes_with_what_to_do(healthy: dict[str, Finding]) -> None:
    for finding in healthy.values():
        assert (finding.state == "ok") == (finding.next_step == ""), finding
        assert "\n" not in finding.found + finding.next_step


def test_a_package_that_is_missing_or_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "packages")
    versions = {"onnxscript": None, "torch": "2.8.0+cpu"}
    monkeypatch.setattr(doctor, "installed_version", lambda name: versions.get(name, installed_version(name)))
    (finding,) = examine()
    assert finding.state == "broken"
    assert re.fullmatch(
        r"onnxscript>=[\d.]+ is not installed; torch>=[\d.]+ is needed, 2\.8\.0\+cpu is installed",
        finding.found,
    )
    assert finding.next_step == "pip install --upgrade vmaf-train"


def test_an_extra_that_is_not_installed_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "extras")
    versions = {"imagehash": None}
    monkeypatch.setattr(doctor, "installed_version", lambda name: versions.get(name, installed_version(name)))
    found = seen()
    assert found["extra eval"].state == "note"
    assert re.fullmatch(r"imagehash>=[\d.]+ is not installed", found["extra eval"].found)
    assert found["extra eval"].next_step == "pip install 'vmaf-train[eval]' if you want it"
    assert found["extra fetch"].state == "ok"


def test_a_package_without_metadata_is_one_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise importlib.metadata.PackageNotFoundError(name)

    only(monkeypatch, "installation")
    monkeypatch.setattr(importlib.metadata, "metadata", absent)
    first, second = examine()
    assert (first.state, second.name, second.state) == ("ok", "installation", "broken")
    assert "pip install -e ." in second.next_step


def test_a_python_that_is_too_old_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "installation")
    monkeypatch.setattr("platform.python_version", lambda: "3.10.1")
    assert seen()["python"] == Finding("python", "broken", "3.10.1, needed is >=3.11", "use a newer Python")


def test_an_exporter_that_fails_is_broken_and_what_worked_before_it_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("no\nluck")

    only(monkeypatch, "exporter")
    monkeypatch.setattr(onnx_export, "export_onnx", fails)
    first, second = examine()
    assert (first.name, first.state) == ("op list", "ok")
    assert second == Finding(
        "exporter", "broken", "RuntimeError: no luck", "pip install --upgrade vmaf-train"
    )


def test_torch_that_cannot_be_imported_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "torch")
    monkeypatch.setitem(sys.modules, "torch", None)
    (finding,) = examine()
    assert (finding.name, finding.state, finding.next_step) == ("torch", "broken", "install torch again")


class Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.mark.parametrize(("gib", "state"), [(0.1, "broken"), (1.0, "note"), (9.0, "ok")])
def test_little_disk_is_noted_and_none_is_broken(
    monkeypatch: pytest.MonkeyPatch, gib: float, state: str
) -> None:
    only(monkeypatch, "disk")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, int(gib * 2**30)))
    here = seen()["disk, here"]
    assert here.state == state
    assert here.found.startswith(f"{gib} GiB free at ")


def test_a_folder_that_is_gone_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "disk")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    (finding,) = examine()
    assert (finding.name, finding.state) == ("disk", "broken")


def test_only_a_broken_task_of_our_own_stops_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, "tasks")
    theirs = TaskEntry("theirs", "a:B", "third-party", None, "ImportError: x")
    ours = TaskEntry("ours", "vmaf_train.tasks.ours:PLUGIN", "vmaf-train", None, "ImportError: y")
    monkeypatch.setattr(doctor, "discover_tasks", lambda: (ours, theirs))
    assert examine() == (
        Finding("task ours", "broken", "ImportError: y", "pip install --upgrade vmaf-train"),
        Finding("task theirs", "note", "ImportError: x", "mend or uninstall third-party"),
    )
    monkeypatch.setattr(doctor, "discover_tasks", lambda: (theirs,))
    assert seen()["tasks"].state == "broken"


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("note", 0), ("broken", 1)])
def test_the_command_ends_with_1_when_something_needed_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], state: Any, code: int
) -> None:
    findings = (Finding("disk", "ok", "100 GiB"), Finding("torch", state, "[/red] seen", "mend it"))
    monkeypatch.setattr(doctor, "examine", lambda: findings)
    for words in (["doctor"], ["doctor", "--json"]):
        monkeypatch.setattr(sys, "argv", ["vmaf-train", *words])
        with pytest.raises(SystemExit) as end:
            main()
        assert int(end.value.code or 0) == code
        said = capsys.readouterr().out
        if "--json" in words:
            answer = json.loads(said)
            assert answer["ok"] == (code == 0)
            assert answer["findings"][1] == {
                "name": "torch",
                "state": state,
                "found": "[/red] seen",
                "next_step": "mend it",
            }
        else:
            assert f"{state:6}  torch  [/red] seen; mend it\n" in said
            assert said.startswith("ok      disk   100 GiB\n")
