from __future__ import annotations

import platform
import re
import shlex
import shutil
import signal
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from onnx import parser
from torch import Tensor
from typer.main import get_command

from command_line import Answer, Told
from records import Folders, python, tiny_model
from toy import ToyConfig, ToySamples, ToyTask, toy_plugin
from vmaf_train import __version__
from vmaf_train.cli import app
from vmaf_train.config_files import shipped_config_names
from vmaf_train.discovery import load_task
from vmaf_train.registry import ModelEntry, load_registry, load_sidecar
from vmaf_train.task import BatchStreams, DataSplits, StageProgress, TaskPlugin

SHIPPED = Path(__file__).resolve().parents[2] / "model" / "tiny"


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    folders = Folders(tmp_path / "out")
    folders.publish()
    return folders


def places(folders: Folders) -> tuple[object, ...]:
    return "--model-dir", folders.models, "--docs-dir", folders.docs


def refused(answer: Answer, code: int, *parts: str) -> None:
    """One line on standard error, nothing else, and that exit code."""
    assert answer.code == code, answer
    assert answer.out == ""
    assert answer.err.startswith("error: ")
    assert answer.err.count("\n") == 1
    for part in parts:
        assert part in answer.err


COMMANDS = tuple(get_command(app).commands)  # type: ignore[attr-defined]


def test_help_names_every_command(told: Told) -> None:
    answer = told("--help")
    assert answer.code == 0
    for name in COMMANDS:
        assert f" {name} " in answer.out
        assert told(name, "--help").code == 0
    for option in (
        "--config",
        "--set",
        "--data",
        "--run-dir",
        "--model-dir",
        "--docs-dir",
        "--id",
        "--resume",
    ):
        assert option in told("run", "--help").out


def test_the_version_tells_what_it_was_built_from(told: Told) -> None:
    answer = told("--version")
    assert (answer.code, answer.err) == (0, "")
    first, second = answer.out.splitlines()
    assert re.fullmatch(rf"vmaf-train {re.escape(__version__)}(, commit [0-9a-f]{{12,}}\+?)?", first)
    assert f"python {platform.python_version()}, torch {version('torch')}, onnx {version('onnx')}, " in second
    assert f"onnxruntime {version('onnxruntime')}" in second


def test_every_task_is_listed_with_its_state(told: Told) -> None:
    rows = told("tasks", "--json").json()
    assert {row["name"]: row["state"] for row in rows} == {
        "mobilesal_placeholder": "ok",
        "saliency_student": "ok",
    }
    assert all(row["summary"] and row["distribution"] == "vmaf-train" and not row["cause"] for row in rows)
    table = told("tasks")
    assert table.code == 0
    assert "saliency_student" in table.out


def test_a_config_is_printed_whole_and_reads_back(told: Told, tmp_path: Path) -> None:
    answer = told("config", "saliency_student", "--set", "fit.epochs=3", "--set", "data.root=x")
    values = yaml.safe_load(answer.out)
    assert (values["id"], values["fit"]["epochs"]) == ("saliency_student_v1", 3)
    (tmp_path / "mine.yaml").write_text(answer.out)
    again = told("config", "saliency_student", "--config", tmp_path / "mine.yaml")
    assert again == answer


def test_without_data_the_demonstration_config_is_taken(told: Told) -> None:
    assert yaml.safe_load(told("config", "saliency_student").out)["smoke"] is True


def test_the_schema_of_a_config_is_printed(told: Told) -> None:
    schema = told("config", "saliency_student", "--schema").json()
    assert schema["additionalProperties"] is False
    assert "fit" in schema["properties"]


@pytest.mark.parametrize("command", ["run", "config"])
def test_a_mistake_in_the_config_is_one_line_and_code_2(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(told(command, "saliency"), 2, "task saliency", "one of: mobilesal_placeholder, saliency_student")
    answer = told(command, "saliency_student", "--config", "v2")
    refused(answer, 2, "config v2", "saliency_student_v1", "smoke")
    answer = told(command, "saliency_student", "--set", "fit.batchsize=4", "--set", "crop=64")
    refused(answer, 2, "fit.batchsize (nearest known key: fit.batch_size)", "augmentation.crop")
    refused(told(command, "saliency_student", "--set", "fit.epochs"), 2, "--set fit.epochs=2")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_data_folder_is_refused_before_anything_is_made(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(told("run", "saliency_student", "--data", "absent"), 2, "absent", "nothing there", "--data")
    answer = told("run", "saliency_student", "--set", "data.root=gone")
    refused(answer, 2, "gone", "nothing there")
    assert list(tmp_path.iterdir()) == []


def test_an_id_that_names_no_file_is_refused(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for model_id in ("../x", "Upper", ""):
        refused(told("run", "mobilesal_placeholder", "--id", model_id), 2, "is no id")
    assert list(tmp_path.iterdir()) == []


def test_an_id_that_is_taken_is_refused_and_nothing_changes(
    told: Told, folders: Folders, tmp_path: Path
) -> None:
    before = folders.held()
    run_dir = tmp_path / "run"
    words = (
        "run",
        "mobilesal_placeholder",
        "--id",
        "tiny_v1",
        *places(folders),
        "--run-dir",
        run_dir,
        "--json",
    )
    answer = told(*words)
    assert answer.code == 2
    assert "error: model tiny_v1: " in answer.err
    assert "--replace" in answer.err
    assert "Traceback" not in answer.err
    assert told(*words, "--replace").code == 2
    assert folders.held() == before
    assert not run_dir.exists()


@pytest.mark.usefixtures("own_handlers")
@pytest.mark.parametrize("where", ["data", "step", "validation"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_with_its_code_and_the_printed_command_ends_in_the_same_file(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, number: signal.Signals
) -> None:
    class Signalling(ToySamples):
        calls = 0

        def batch(self, items: Sequence[int], streams: BatchStreams) -> tuple[Tensor, Tensor]:
            type(self).calls += 1
            if type(self).calls == 2:
                signal.raise_signal(number)
            return super().batch(items, streams)

    class Loading(ToyTask):
        def load_data(self, progress: StageProgress) -> DataSplits:
            if where == "data" and loads_left and loads_left.pop():
                signal.raise_signal(number)
            return super().load_data(progress)

    loads_left = [True]
    parts: dict[str, Any] = {"step": {"train": Signalling(12)}, "validation": {"val": Signalling(9, 1)}}
    changed = {"val": ToySamples(9, 1), **parts.get(where, {})}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("vmaf_train.cli.load_task", lambda _: toy_plugin(val=ToySamples(9, 1)))
    assert told("run", "toy", "--model-dir", "straight", "--docs-dir", "docs").code == 0
    plugin = TaskPlugin("toy", "", ToyConfig, lambda config: Loading(config, **changed))
    monkeypatch.setattr("vmaf_train.cli.load_task", lambda _: plugin)
    answer = told("run", "toy")
    assert answer.code == 128 + number
    assert answer.err.startswith(f"stopped by {number.name}; go on with: ")
    assert answer.err.count("\n") == 1
    assert not Path("model").exists()
    command = shlex.split(answer.err.partition("go on with: ")[2])
    assert told(*command[1:]).code == 0
    assert Path("model/tiny/toy_v1.onnx").read_bytes() == Path("straight/toy_v1.onnx").read_bytes()


FORBIDDEN = """
<ir_version: 8, opset_import: ["" : 17]>
g (float[N] x) => (int64[M, N] y) { y = NonZero (x) }
"""


def test_a_model_is_checked_against_the_op_list(told: Told, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.onnx", tmp_path / "bad.onnx"
    good.write_bytes(tiny_model())
    bad.write_bytes(parser.parse_model(FORBIDDEN).SerializeToString())
    answer = told("check", good)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.endswith("good.onnx: ok, opset 17, 2 nodes: Conv, Sigmoid\n")
    refused(told("check", bad), 1, "NonZero")
    refused(told("check", tmp_path / "absent.onnx"), 1, "absent.onnx", "No such file")
    refused(told("check", tmp_path / "absent.onnx", "--json"), 1, "absent.onnx")
    refused(told("check", good, "--task", "nothing"), 2, "task nothing")


def test_a_check_in_json_tells_ops_and_violations(told: Told, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.onnx", tmp_path / "bad.onnx"
    good.write_bytes(tiny_model())
    bad.write_bytes(parser.parse_model(FORBIDDEN).SerializeToString())
    answer = told("check", good, "--json")
    assert answer.code == 0
    assert answer.json() == {
        "model": str(good),
        "ok": True,
        "opset": 17,
        "nodes": 2,
        "ops": ["Conv", "Sigmoid"],
        "violations": [],
        "contract": None,
    }
    answer = told("check", bad, "--json")
    assert (answer.code, answer.err) == (1, "")
    (violation,) = answer.json()["violations"]
    assert violation["op"] == "NonZero"
    assert answer.json()["ok"] is False


def test_a_model_is_checked_against_a_tasks_contract(told: Told, tmp_path: Path) -> None:
    model = tmp_path / "tiny.onnx"
    model.write_bytes(tiny_model())
    spec = load_task("mobilesal_placeholder")
    assert spec.config_type().export.opset == 17
    answer = told("check", model, "--task", "mobilesal_placeholder")
    assert answer.code == 1
    assert answer.err.startswith("error: ")
    assert "map" in answer.err
    told_as_json = told("check", model, "--task", "mobilesal_placeholder", "--json")
    assert (told_as_json.code, told_as_json.err) == (1, "")
    found = told_as_json.json()
    assert (found["ok"], found["violations"]) == (False, [])
    assert f"error: {found['contract']}\n" == answer.err


def test_a_config_without_its_task_is_refused(told: Told, tmp_path: Path) -> None:
    model = tmp_path / "tiny.onnx"
    model.write_bytes(tiny_model())
    for more in ((), ("--json",)):
        refused(told("check", model, "--config", "saliency_student_v1", *more), 2, "--config", "--task")


@pytest.mark.parametrize("entry", load_registry(SHIPPED).models, ids=lambda entry: entry.id)
def test_a_shipped_model_keeps_the_contract_of_the_config_that_made_it(
    told: Told, entry: ModelEntry, tmp_path: Path
) -> None:
    task = load_sidecar(SHIPPED, entry.id).record.task
    answer = told("check", SHIPPED / entry.onnx, "--task", task)
    assert (answer.code, answer.err) == (0, "")
    if entry.int8_sha256 is not None:
        answer = told("check", SHIPPED / f"{entry.id}.int8.onnx", "--task", task)
        assert (answer.code, answer.err) == (0, "")
        assert "DequantizeLinear" in answer.out
    if entry.id in shipped_config_names():
        elsewhere = tmp_path / "elsewhere.onnx"
        shutil.copy(SHIPPED / entry.onnx, elsewhere)
        assert told("check", elsewhere, "--task", task, "--config", entry.id).code == 0


def test_verify_tells_what_agrees_and_what_does_not(told: Told, folders: Folders) -> None:
    answer = told("verify", *places(folders))
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == f"{folders.models}: 1 models, all agree\n"
    assert told("verify", *places(folders), "--json").json() == {"ok": True, "problems": []}
    (folders.models / "tiny_v1.onnx").write_bytes(tiny_model(1))
    (folders.docs / "tiny_v1.md").unlink()
    answer = told("verify", *places(folders))
    assert (answer.code, answer.out.count("\n")) == (1, 2)
    answer = told("verify", *places(folders), "--json")
    assert answer.code == 1
    assert answer.json()["ok"] is False
    assert [("sha256" in problem, "tiny_v1.md" in problem) for problem in answer.json()["problems"]] == [
        (True, False),
        (False, True),
    ]


@pytest.mark.parametrize("command", ["verify", "card"])
def test_a_damaged_registry_is_one_line_and_code_1(told: Told, folders: Folders, command: str) -> None:
    (folders.models / "registry.json").write_bytes(b"")
    words = ("card", "tiny_v1") if command == "card" else ("verify",)
    refused(told(*words, *places(folders)), 1, "registry.json", "it was not touched")
    assert (folders.models / "registry.json").read_bytes() == b""


def test_a_card_is_checked_and_made_anew(told: Told, folders: Folders) -> None:
    words = ("card", "tiny_v1", *places(folders))
    picture = "docs/tiny_v1_curves.svg"
    refused(told(*words, "--check"), 1, picture, "a difference")  # the fixture's is no drawing
    assert str(folders.root / picture) in told(*words).out.splitlines()
    assert told(*words, "--check").code == 0
    before = folders.held()
    for name in ("model/tiny_v1_card.md", "docs/tiny_v1.md", picture):
        (folders.root / name).write_text("by hand")
        stale = folders.held()
        refused(told(*words, "--check"), 1, name, "a difference", "vmaf-train card tiny_v1")
        assert folders.held() == stale
        answer = told(*words)
        assert answer.code == 0
        assert str(folders.root / name) in answer.out.splitlines()
        assert folders.held() == before
    for name in ("docs/tiny_v1.md", picture):
        (folders.root / name).unlink()
        refused(told(*words, "--check"), 1, name, "no file")
        assert told(*words).code == 0
        assert folders.held() == before


def test_a_page_in_another_folder_comes_with_its_pictures(told: Told, folders: Folders) -> None:
    words = ("card", "tiny_v1", "--model-dir", folders.models, "--docs-dir", folders.root / "elsewhere")
    assert told(*words).code == 0
    assert (folders.root / "elsewhere" / "tiny_v1_curves.svg").is_file()
    assert told("verify", *words[2:]).code == 0


@pytest.mark.parametrize(
    "words", [("card", "other"), ("card", "other", "--check"), ("quantise", "other", "--data", ".")]
)
def test_an_unknown_model_is_refused_by_the_list_of_the_known(
    told: Told, folders: Folders, words: tuple[str, ...]
) -> None:
    refused(told(*words, *places(folders)), 2, "model other", "registry.json", "these: tiny_v1")


def test_a_card_without_a_record_is_refused(told: Told, folders: Folders) -> None:
    (folders.models / "tiny_v1.json").unlink()
    refused(told("card", "tiny_v1", *places(folders), "--check"), 1, "tiny_v1.json", "No such file")


def test_a_command_that_does_not_exist_is_a_usage_error(told: Told) -> None:
    for words in (("nothing",), ("run",), ("verify", "--no-such"), ()):
        answer = told(*words)
        assert answer.code == 2
        assert "Traceback" not in answer.err


LIGHT = """
import contextlib, io, sys
from vmaf_train.cli import main
heavy = {"torch", "onnx", "onnxruntime", "matplotlib", "PIL", "numpy"}
models, docs = sys.argv[1:]
for words in (
    ["--help"], ["tasks"], ["tasks", "--json"], ["config", "saliency_student"],
    ["config", "saliency_student", "--schema"], ["config", "mobilesal_placeholder"],
    ["--version"], ["verify", "--model-dir", models, "--docs-dir", docs],
    # Of a run without epochs: there is nothing to draw.
    ["card", "tiny_v1", "--check", "--model-dir", models, "--docs-dir", docs],
    ["card", "tiny_v1", "--model-dir", models, "--docs-dir", docs],
):
    sys.argv = ["vmaf-train", *words]
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            main()
        except SystemExit as end:
            assert not end.code, words
    print(words[0], sorted(heavy & sys.modules.keys()))
"""


def test_what_needs_no_network_imports_none(folders: Folders) -> None:
    folders.publish(replace=True, changes={"training.history": []})
    ran = python(LIGHT, folders.models, folders.docs)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert len(lines) == 10
    assert [line for line in lines if not line.endswith(" []")] == []
