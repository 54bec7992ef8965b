from __future__ import annotations

import importlib.metadata
from types import SimpleNamespace

import pytest

import vmaf_train
from toy import ToyConfig, ToyTask
from vmaf_train.code_versions import code_versions


def test_the_version_of_the_package_that_declares_the_task_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def declared(*, group: str) -> list[SimpleNamespace]:
        assert group == "vmaf_train.tasks"
        packages = [("toy.plugin", "a-toy", "1.2"), ("toybox", "another", "7"), ("toy", None, "")]
        return [
            SimpleNamespace(module=module, dist=SimpleNamespace(name=name, version=version) if name else None)
            for module, name, version in packages
        ]

    own = {"vmaf_train": vmaf_train.__version__}
    monkeypatch.setattr(importlib.metadata, "entry_points", declared)
    assert code_versions(ToyTask(ToyConfig())) == {**own, "a-toy": "1.2"}


def test_damaged_metadata_leaves_the_framework_s_own_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(**_: object) -> None:
        raise ValueError("no such thing")

    monkeypatch.setattr(importlib.metadata, "entry_points", damaged)
    assert code_versions(ToyTask(ToyConfig())) == {"vmaf_train": vmaf_train.__version__}
