"""What the package offers from Python: there, typed, and free until it is used."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import vmaf_train
from records import python

LAZY = """
import sys
import vmaf_train
heavy = {"jinja2", "matplotlib", "numpy", "onnx", "onnxruntime", "pydantic", "torch", "typer"}
print(sorted(heavy & sys.modules.keys()))
vmaf_train.load_task, vmaf_train.load_config, vmaf_train.check_model, vmaf_train.VmafTrainError
print(sorted(heavy & sys.modules.keys() - {"pydantic"}))
vmaf_train.run
print("torch" in sys.modules)
"""


def test_a_name_is_imported_when_it_is_asked_for_and_not_before() -> None:
    ran = python(LAZY)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "[]\n[]\nTrue\n", "")


def test_every_name_is_what_its_module_holds() -> None:
    homes = {
        "RunPaths": "pipeline",
        "VmafTrainError": "errors",
        "check_model": "op_allowlist",
        "load_config": "config_files",
        "load_task": "discovery",
        "run": "pipeline",
    }
    assert list(homes) == vmaf_train.__all__
    for name, home in homes.items():
        assert getattr(vmaf_train, name) is getattr(importlib.import_module(f"vmaf_train.{home}"), name)
    assert set(homes) <= set(dir(vmaf_train))


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'vmaf_train' has no attribute 'nothing'"):
        _ = vmaf_train.nothing  # type: ignore[attr-defined]
    with pytest.raises(ImportError):
        from vmaf_train import nothing  # type: ignore[attr-defined]  # noqa: F401


def test_type_checkers_are_told_that_the_package_is_typed() -> None:
    assert (Path(vmaf_train.__file__).parent / "py.typed").is_file()
