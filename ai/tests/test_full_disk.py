"""A disk that is full, a folder that is read-only: one line, nothing half written, and a way on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from full_disk import OWN_MOUNTS, can_mount
from records import python

# In each moment the child fills the real disk, or limits the size of files, looks at what the run
# leaves, makes room and lets the run go on. The network is one that a file is made of without the
# exporter, which takes seconds, and nothing is drawn; all else is real.
CODE = """
import functools, json, shutil, sys
from dataclasses import replace
from pathlib import Path
import onnx, torch
from onnx import numpy_helper
torch.set_num_threads(1)
from full_disk import Fault, mount
from records import tiny_model
from toy import ToyConfig, toy_plugin
from vmaf_train import pipeline
from vmaf_train.checkpoint import latest_checkpoint, load_checkpoint
from vmaf_train.errors import VmafTrainError
from vmaf_train.onnx_export import ExportedModel, check_contract
from vmaf_train.verify import verify_problems

def exported(network, spec, config, *_):
    model = onnx.load_model_from_string(tiny_model())
    for tensor, weight in zip(model.graph.initializer, network.state_dict().values()):
        tensor.CopyFrom(numpy_helper.from_array(weight.numpy(), tensor.name))
    data = model.SerializeToString()
    return ExportedModel(data, check_contract(data, spec, config))

pipeline.export_onnx = exported
pipeline.curves = lambda *_, **__: b"<svg/>" * 1000
pipeline.contact_sheet = lambda *_: b"a picture"
work, mounted, moments = Path(sys.argv[1]), sys.argv[2] == "True", sys.argv[3:]
sys.stdout = sys.stderr
disk, apart = work / "disk", work / "apart"
if mounted:
    mount(disk, "size=512k")
    mount(apart, "size=512k")

def run(paths, seed, **options):
    fit = ToyConfig().fit.model_copy(update={"seed": seed})
    plugin = toy_plugin(network=functools.partial(torch.nn.Conv2d, 3, 1, 1))
    config = ToyConfig().model_copy(update={"fit": fit})
    return pipeline.run(plugin, config, paths, replace=True, **options).export.sha256

def places(folder, docs=None):
    return pipeline.RunPaths(folder / "run", folder / "models", (docs or folder) / "docs")

def held(paths):
    return {
        f"{folder.name}/{path.name}": path.read_bytes()
        for folder in (paths.model_dir, paths.docs_dir)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".publish.lock" and ".publishing" not in path.parts
    }

def failed(work):
    try:
        work()
    except VmafTrainError as error:
        return type(error).__name__, str(error), error.exit_code
    return None, "", 0

def said(*row):
    print(json.dumps(row), file=sys.__stdout__)

def strike(fault, paths, name):
    for folder in (paths.model_dir, paths.docs_dir):
        shutil.copytree(work / "standing" / folder.name, folder)
    before = held(paths)
    with fault.at(name):
        kind, line, code = failed(lambda: run(paths, 2))
        struck, left = fault.struck, held(paths)
        sees = failed(lambda: verify_problems(paths.model_dir, paths.docs_dir))[0]
        problems = sees or verify_problems(paths.model_dir, paths.docs_dir)
    parts = [path.name for path in paths.run_dir.parent.rglob("*.tmp")]
    parts += [path.name for path in paths.docs_dir.rglob("*.tmp")]
    newest = latest_checkpoint(paths.run_dir / "checkpoints")
    epoch = load_checkpoint(newest)["epoch"] if newest else 0
    ended = run(paths, 2, resume=True) == reference
    ended = ended and not verify_problems(paths.model_dir, paths.docs_dir)
    names = ("models/toy_v1.onnx", "models/registry.json")
    models_new = all(left[name] == new[name] for name in names)
    state = "old" if left == before else "models new" if models_new else "mixed"
    said(name, struck, kind, line, code, state, problems, parts, epoch, ended)
    for folder in (paths.run_dir, paths.model_dir, paths.docs_dir):
        shutil.rmtree(folder)

run(places(work / "standing"), 1)
reference = run(places(work / "reference"), 2)
new = held(places(work / "reference"))
for fault in [Fault(None), *([Fault(disk)] if mounted else [])]:
    for name in moments:
        strike(fault, places(disk / "work"), name)
if mounted:
    strike(fault, places(apart / "work", disk / "work"), "toy_v1.md")
    strike(fault, places(disk / "work", apart / "work"), "toy_v1.onnx")
    for place in ("run", "models", "docs", "resumed run"):
        closed = work / f"closed {place}"
        mount(closed, "size=512k")
        paths = places(work / "open")
        paths = replace(paths, **{
            "run": {"run_dir": closed / "run"},
            "models": {"model_dir": closed / "models"},
            "docs": {"docs_dir": closed / "docs"},
            "resumed run": {"run_dir": closed / "run"},
        }[place])
        resumed = place == "resumed run"
        if resumed:
            run(replace(places(work / "elsewhere"), run_dir=closed / "run"), 2)
        mount(closed, "remount,ro")
        there = sorted(map(str, work.rglob("*")))
        outcome = failed(lambda: run(paths, 2, resume=resumed))
        said(place, *outcome, sorted(map(str, work.rglob("*"))) == there)
"""

MOMENTS = {
    "config.yaml": 0,
    "epoch_000001.pt": 0,
    "epoch_000002.pt": 1,
    "metrics.jsonl": 1,
    "curves.png": 2,
    "model.onnx": 2,
    "run_record.json": 2,
    "00": 2,
    "manifest.json": 2,
}
"""What is being written when the disk is full, and the last epoch that is whole then."""
AFTER = ("toy_v1.md", "toy_v1.onnx", "registry.json")
"""What is put in place when the publication counts as made."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[list[object]]:
    """What the child saw, a row for each fault; without the right to mount only the limited ones."""
    mounted = can_mount()
    below = OWN_MOUNTS if mounted else ()
    words = (mounted, *MOMENTS, *AFTER)
    ran = python(CODE, tmp_path_factory.mktemp("disk"), *words, below=below, seconds=600)
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.fixture
def needs_mounts() -> None:
    """Skip where this user may not mount, even where nobody else sees it."""
    if not can_mount():
        pytest.skip("this user may not mount a tmpfs, so no disk can be full or read-only")


def check_before(rows: list[list[object]], found: str) -> None:
    """Nothing is published, the line names the file, and the run goes on to the reference's bytes."""
    assert [row[0] for row in rows] == list(MOMENTS)
    for name, struck, kind, line, code, state, problems, parts, epoch, ended in rows:
        assert struck, name
        assert (kind, code, state, problems, parts) == ("PublishError", 1, "old", [], []), name
        assert f"{name}: expected a file that can be written, found {found}; free the disk" in str(line)
        assert (epoch, ended) == (MOMENTS[str(name)], True), name


def check_after(rows: list[list[object]]) -> None:
    """What needs no more room is put in place as if nothing had happened."""
    for name, struck, kind, _, code, state, problems, parts, epoch, ended in rows:
        assert struck, name
        assert (kind, code, state, problems, parts) == (None, 0, "models new", [], []), name
        assert (epoch, ended) == (2, True), name


def test_a_file_that_may_not_grow_is_told_and_leaves_the_old_state(outcomes: list[list[object]]) -> None:
    check_before(outcomes[: len(MOMENTS)], "File too large")
    check_after(outcomes[len(MOMENTS) :][: len(AFTER)])


@pytest.mark.usefixtures("needs_mounts")
def test_a_full_disk_is_told_and_leaves_the_old_state(outcomes: list[list[object]]) -> None:
    rows = outcomes[len(MOMENTS) + len(AFTER) :]
    check_before(rows[: len(MOMENTS)], "No space left on device")
    check_after(rows[len(MOMENTS) :][: len(AFTER)])


@pytest.mark.usefixtures("needs_mounts")
def test_pages_on_a_full_disk_of_their_own_leave_the_models_as_they_were(
    outcomes: list[list[object]],
) -> None:
    pages, models = outcomes[2 * (len(MOMENTS) + len(AFTER)) :][:2]
    name, struck, kind, line, code, state, problems, parts, epoch, ended = pages
    assert (struck, kind, code, state, parts) == (True, "PublishError", 1, "old", []), name
    assert "docs/toy_v1.md: expected a file that can be written, found No space left" in str(line)
    # The publication counts as made: the next command completes it, or says that it cannot yet.
    assert (problems, epoch, ended) == ("PublishError", 2, True)
    check_after([models])


@pytest.mark.usefixtures("needs_mounts")
def test_a_read_only_folder_is_told_before_training_and_nothing_is_made(outcomes: list[list[object]]) -> None:
    rows = outcomes[2 * (len(MOMENTS) + len(AFTER)) + 2 :]
    wanted = {
        "run": "run: expected a run folder that can be written, found Read-only file system",
        "models": "models: expected a folder that can be written, found no right to write",
        "docs": "docs: expected a folder that can be written, found no right to write",
        "resumed run": "run: expected a run folder that can be written, found Read-only file system",
    }
    assert [row[0] for row in rows] == list(wanted)
    for place, kind, line, code, unchanged in rows:
        assert wanted[str(place)] in str(line)
        assert (kind, code, unchanged) == ("PublishError", 1, True), place


# A loader's worker process finds /dev/shm wholly full, then with room for less than its batches.
SHARED_MEMORY = """
import sys
from pathlib import Path
from full_disk import fill, mount
from test_loader import Large
from vmaf_train.errors import DataError
from vmaf_train.loader import BatchLoader, telling_dead_workers

if __name__ == "__main__":
    shared = Path("/dev/shm")
    mount(shared, "size=512k")
    fill(shared)
    for _ in range(2):
        try:
            with telling_dead_workers():
                print(len(list(BatchLoader(Large(64), 2, 0, train=False, workers=1).epoch(0))))
        except DataError as error:
            print(error)
        (shared / "filler").unlink(missing_ok=True)
"""


@pytest.mark.usefixtures("needs_mounts")
def test_a_full_shared_memory_ends_the_run_in_one_line_and_does_not_hang(tmp_path: Path) -> None:
    # A worker process imports the program anew, so that it must be a file.
    program = tmp_path / "program.py"
    program.write_text(SHARED_MEMORY)
    ran = python(
        "import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')",
        program,
        below=OWN_MOUNTS,
        seconds=300,
    )
    assert ran.stderr == ""
    lines = ran.stdout.splitlines()
    assert len(lines) == 2, ran.stdout
    for line in lines:
        assert "room for them and their batches in /dev/shm, found " in line
        assert "No space left on device" in line
        assert "enlarge it or lower fit.workers, and go on with --resume" in line
