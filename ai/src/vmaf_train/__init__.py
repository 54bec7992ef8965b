"""Train, gate, export, check, card and register tiny ONNX models for VMAF forks.

What ``__all__`` names is the whole job from Python. Each name is imported when it is first asked for, so
that ``import vmaf_train`` costs nothing and loads neither torch nor onnx.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vmaf_train.config_files import load_config
    from vmaf_train.discovery import load_task
    from vmaf_train.errors import VmafTrainError
    from vmaf_train.op_allowlist import check_model
    from vmaf_train.pipeline import RunPaths, run
else:
    # Kept from type checkers: to them, a module with this function has every name there is.
    def __getattr__(name):
        import importlib

        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


__all__ = ["RunPaths", "VmafTrainError", "check_model", "load_config", "load_task", "run"]

__version__ = "0.1.0"

_HOMES = {
    "RunPaths": "pipeline",
    "VmafTrainError": "errors",
    "check_model": "op_allowlist",
    "load_config": "config_files",
    "load_task": "discovery",
    "run": "pipeline",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
