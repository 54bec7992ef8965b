"""Small valid run records, a one-convolution model to go with them, and what a folder holds."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from vmaf_train.publish import publish_model
from vmaf_train.run_record import Evaluation, Figure, RunRecord, ThresholdCurves
from vmaf_train.staging import LOCK_NAME
from vmaf_train.verify import verify_problems

MODEL = """
<ir_version: 8, opset_import: ["" : 17], producer_name: "vmaf_train">
tiny (float[1,3,H,W] input) => (float[1,1,H,W] map)
<float[1,3,1,1] weight = {0.25, 0.5, 0.125}, float[1] bias = {BIAS}>
{
    logits = Conv (input, weight, bias)
    map = Sigmoid (logits)
}
"""

PUBLISHED = {
    "model/tiny_v1.onnx",
    "model/tiny_v1.json",
    "model/tiny_v1_card.md",
    "model/LICENSE",
    "model/README.md",
    "model/registry.json",
    "model/registry.schema.json",
    "docs/tiny_v1.md",
    "docs/tiny_v1_curves.svg",
}
"""All files of the model ``tiny_v1`` in a :class:`Folders`, with what all models share."""


def tiny_model(seed: int = 0) -> bytes:
    """The bytes of a 1x1 convolution and a sigmoid; each seed gives others."""
    from onnx import parser

    return bytes(parser.parse_model(MODEL.replace("BIAS", f"{seed}.5")).SerializeToString())


def tiny_record(
    model_id: str = "tiny_v1", onnx: bytes | None = None, changes: dict[str, Any] | None = None
) -> RunRecord:
    """The record of a run that made ``onnx``; ``changes`` maps dotted keys to other values."""
    data = tiny_model() if onnx is None else onnx
    axes = {"input": [1, 3, "H", "W"], "map": [1, 1, "H", "W"]}
    tensors = {name: {"name": name, "dtype": "float32", "axes": axes[name]} for name in axes}
    values: dict[str, Any] = {
        "id": model_id,
        "task": "toy",
        "kind": "nr",
        "smoke": False,
        "license": "BSD-3-Clause-Plus-Patent",
        "config": {"id": model_id, "fit": {"epochs": 2, "batch_size": 4}, "widths": [16, 32]},
        "config_digest": "c" * 64,
        "reproducer": f"vmaf-train run toy --set id={model_id} --data DIR",
        "finished": "2024-05-06",
        "environment": {
            "vmaf_train": "0.1.0",
            "python": "3.11.7",
            "torch": "2.9.0",
            "onnx": "1.19.0",
            "onnxruntime": "1.20.1",
            "processor": "A processor",
            "device": "cpu",
            "device_name": "A processor",
            "precision": "float32",
            "threads": 3,
        },
        "data": {
            "corpora": [
                {
                    "name": "TOY-TR",
                    "citation": "Somebody, Toys, 2017",
                    "licence": "for research: free # ask for more",
                    "url": "https://example.org/toys.zip",
                    "last_modified": "Mon, 06 May 2024 07:08:09 GMT",
                    "length_bytes": 123456,
                    "archive_sha256": "a" * 64,
                    "published_pairs": 1210,
                    "found": 1209,
                    "kept": 1207,
                    "dropped": {"unreadable": 2},
                    "findings": {"grey": 5},
                }
            ],
            "train": 1147,
            "val": 61,
            "split": "5 % by seed 42",
            "digest": "d" * 64,
        },
        "training": {
            "parameters": 11284,
            "steps": 1572,
            "best_epoch": 2,
            "primary_metric": "iou",
            "history": [
                {
                    "epoch": epoch,
                    "loss": 1.5 / epoch,
                    "lr": 1e-3,
                    "metrics": {"iou": 0.3 * epoch, "mae": 0.2 / epoch},
                    "seconds": 40.0,
                    "images_per_second": 30.0 + epoch,
                }
                for epoch in (1, 2)
            ],
            "seconds": 80.0,
            "byte_reproducible": True,
        },
        "gate": {
            "metric": "iou",
            "value": 0.6012,
            "min_value": 0.5,
            "passed": True,
            "metrics": {"iou": 0.6012, "mae": 0.0987},
        },
        "export": {
            "sha256": sha256(data).hexdigest(),
            "size_bytes": len(data),
            "opset": 17,
            "ir_version": 8,
            "producer": "vmaf_train",
            "ops": ["Conv", "Sigmoid"],
            "nodes": 2,
            "inputs": [tensors["input"]],
            "outputs": [tensors["map"]],
            "size_multiple": 8,
            "min_size": 16,
            "input_contract": {"colour": "RGB, BT.709 limited | full is refused"},
            "parity_limit": 1e-5,
            "parity": [{"height": 5, "width": 9, "values": "normal", "max_abs_diff": 3.25e-6}],
        },
        "card": {
            "title": f"{model_id}: a toy",
            "summary": "It marks toys.",
            "intended_use": "Tests of the publishing path.",
            "limits": ["It sees nothing but toys."],
            "tags": ["toy"],
        },
    }
    return RunRecord.model_validate(with_changes(values, changes or {}))


def tiny_test(model_sha256: str, value: float = 0.5, **changes: Any) -> Evaluation:
    """A test of a file on a set of three pairs, with curves, but for the changes."""
    values: dict[str, Any] = {
        "dataset": "SET",
        "protocol": "fed at native size",
        "pairs": 3,
        "digest": "e" * 64,
        "date": "2024-06-07",
        "model_sha256": model_sha256,
        "licence": "free",
        "metrics": {"F max": Figure(value=value)},
        "curves": ThresholdCurves(
            threshold=(0.0, 1.0), precision=(0.3, 1.0), recall=(1.0, 0.0), f=(0.4, 0.0)
        ),
    }
    return Evaluation(**{**values, **changes})


def altered(record: RunRecord, changes: dict[str, Any]) -> RunRecord:
    """The record with other values at dotted keys, validated anew; a number picks from a list."""
    return RunRecord.model_validate(with_changes(record.model_dump(mode="json"), changes))


def with_changes(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Plain data with other values at dotted keys."""
    copy: dict[str, Any] = json.loads(json.dumps(values))
    for dotted, value in changes.items():
        *path, leaf = dotted.split(".")
        inner: Any = copy
        for part in path:
            inner = inner[int(part) if isinstance(inner, list) else part]
        inner[int(leaf) if isinstance(inner, list) else leaf] = value
    return copy


@dataclass(frozen=True)
class Folders:
    """A model folder and its docs folder below one root."""

    root: Path

    @property
    def models(self) -> Path:
        """Where the registry is."""
        return self.root / "model"

    @property
    def docs(self) -> Path:
        """Where the pages are."""
        return self.root / "docs"

    def publish(
        self,
        model_id: str = "tiny_v1",
        seed: int = 0,
        *,
        replace: bool = False,
        changes: dict[str, Any] | None = None,
        pictures: Callable[[RunRecord], dict[str, bytes]] | None = None,
    ) -> RunRecord:
        """Publish a tiny model as the pipeline does."""
        onnx = tiny_model(seed)
        record = tiny_record(model_id, onnx, changes)
        figures = {f"{model_id}_curves.svg": b"<svg/>"}
        publish_model(
            record,
            onnx,
            model_dir=self.models,
            docs_dir=self.docs,
            replace=replace,
            figures=figures,
            pictures=pictures or no_pictures,
        )
        return record

    def problems(self) -> list[str]:
        """What verify says."""
        return verify_problems(self.models, self.docs)

    def rows(self) -> list[dict[str, Any]]:
        """The registry's rows as they stand in the file."""
        found: list[dict[str, Any]] = json.loads((self.models / "registry.json").read_text())["models"]
        return found

    def held(self) -> dict[str, bytes]:
        """Every file below the root but the lock, hidden ones included, with its bytes."""
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and path.name != LOCK_NAME
        }


def no_pictures(_: RunRecord) -> dict[str, bytes]:
    """Draw nothing."""
    return {}


def publish_apart(root: str, model_id: str, seed: int, waiting: Any) -> str:
    """Publish from another process once all are ready; return the error's text or nothing."""
    onnx = tiny_model(seed)
    record = tiny_record(model_id, onnx)
    folders = Folders(Path(root))
    waiting.wait(60)
    try:
        publish_model(
            record, onnx, model_dir=folders.models, docs_dir=folders.docs, replace=False, figures={}
        )
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def killed_before_each_change(start: Path, work: Path, publish: Callable[[Folders], object]) -> int:
    """Copy ``start`` to ``work/1``, ``work/2``...; in the n-th, die before the n-th change of a file.

    A change is whatever alters a folder or opens a file to write. Runs in a process of one thread.

    Returns:
        How many changes a whole publication takes; each has its copy.
    """
    for number in range(1, 1000):
        folder = work / str(number)
        shutil.copytree(start, folder)
        child = os.fork()
        if child == 0:
            _die_before_change(number)
            publish(Folders(folder))
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
            shutil.rmtree(folder)
            return number - 1
    raise AssertionError("the publication never came to an end")


def _die_before_change(number: int) -> None:
    seen = 0

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        writes = event == "open" and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if writes or event in {"os.rename", "os.remove", "os.rmdir", "os.mkdir"}:
            seen += 1
            if seen == number:
                os._exit(9)

    sys.addaudithook(count)


def python(
    code: str,
    *arguments: object,
    paths: tuple[Path, ...] = (),
    below: tuple[str, ...] = (),
    seconds: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run ``code`` in a fresh interpreter in which every warning is an error.

    Args:
        code: what to run.
        arguments: its ``sys.argv[1:]``.
        paths: further folders to import from.
        below: a command that starts the interpreter, with its arguments.
        seconds: it may take no longer.
    """
    places = [str(Path(__file__).parent), *map(str, paths), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [*below, sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))},
    )
