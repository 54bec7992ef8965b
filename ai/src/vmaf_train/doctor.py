"""What of this machine and installation works, what does not, and what to do about it.

Nothing is believed that can be tried: the exporter exports, the runtime runs, the plugins load.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from vmaf_train.build_facts import build_facts, installed_version
from vmaf_train.discovery import discover_tasks
from vmaf_train.errors import VmafTrainError
from vmaf_train.pairs.places import default_cache_dir

__all__ = ["Finding", "examine"]

_DISTRIBUTION = "vmaf-train"
_INSTALL = "pip install --upgrade vmaf-train"
_GIB = 2**30
_NEEDED_GIB = 0.25
"""Free space below which a run cannot be counted on: checkpoints, curves and the model."""
_WANTED_GIB = 10_000 * 288 * 384 * 4 / _GIB
"""What 10,000 pictures with masks take when decoded at the recipe's short side."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what it is.
        state: ``ok``; ``note`` where something that is not needed is missing or weak; ``broken``
            where no model can be made before it is mended.
        found: what was seen, in one line.
        next_step: what to do; empty where there is nothing to do.
    """

    name: str
    state: Literal["ok", "note", "broken"]
    found: str
    next_step: str = ""


def examine() -> tuple[Finding, ...]:
    """Return everything worth knowing, in the order in which one thing needs another; never raises."""
    findings: list[Finding] = []
    for name, look, remedy in _LOOKS:
        try:
            for finding in look():  # what was seen before a failure stays
                findings.append(finding)
        except Exception as error:  # the one command that must answer when all else is broken
            told = " ".join(str(error).split())
            step = error.next_step if isinstance(error, VmafTrainError) else remedy
            findings.append(Finding(name, "broken", f"{type(error).__name__}: {told}", step))
    return tuple(findings)


def _versions() -> Iterator[Finding]:
    facts = build_facts()
    commit = f", commit {facts['commit']}" if facts["commit"] else ""
    yield Finding("vmaf-train", "ok", f"{facts['vmaf-train']}{commit}")
    wanted = importlib.metadata.metadata(_DISTRIBUTION)["Requires-Python"] or ""
    if platform.python_version() in SpecifierSet(wanted, prereleases=True):
        yield Finding(
            "python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
        )
    else:
        found = f"{platform.python_version()}, needed is {wanted}"
        yield Finding("python", "broken", found, "use a newer Python")


def _requirements() -> list[Requirement]:
    return [Requirement(text) for text in importlib.metadata.requires(_DISTRIBUTION) or ()]


def _unmet(requirement: Requirement) -> str:
    """What of a requirement is not as it should be; empty where all is."""
    version = installed_version(requirement.name)
    wanted = f"{requirement.name}{requirement.specifier}"
    if version is None:
        return f"{wanted} is not installed"
    if requirement.specifier.contains(version, prereleases=True):
        return ""
    return f"{wanted} is needed, {version} is installed"


def _packages() -> Iterator[Finding]:
    needed = [item for item in _requirements() if item.marker is None or item.marker.evaluate({"extra": ""})]
    unmet = [text for item in needed if (text := _unmet(item))]
    if unmet:
        yield Finding("packages", "broken", "; ".join(unmet), _INSTALL)
    else:
        yield Finding("packages", "ok", f"all {len(needed)} at or above their floors")


def _torch() -> Iterator[Finding]:
    import torch

    from vmaf_train.config import FitConfig
    from vmaf_train.hardware import choose_hardware

    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU alone"
    yield Finding("torch", "ok", f"{torch.__version__}, built for {built}, {torch.get_num_threads()} threads")
    features = {
        "AVX2": torch.cpu._is_avx2_supported,
        "AVX512": torch.cpu._is_avx512_supported,
        "AVX512-BF16": torch.cpu._is_avx512_bf16_supported,
        "AMX": torch.cpu._is_amx_tile_supported,
    }
    seen = ", ".join(name for name, has in features.items() if has()) or "no wide vectors"
    cores = f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores"
    yield Finding("processor", "ok", f"{cores}, {seen}")
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        found = f"{properties.name}, {properties.total_memory / _GIB:.0f} GiB"
        yield Finding("gpu", "ok", found)
    else:
        yield Finding("gpu", "note", "none that torch can use", "training runs on the processor")
    chosen = choose_hardware(FitConfig())
    yield Finding("training", "ok", f"would run on {chosen.device} in {chosen.precision}")


def _exporter() -> Iterator[Finding]:
    from torch import nn

    from vmaf_train.config import ExportConfig
    from vmaf_train.onnx_export import check_parity, export_onnx
    from vmaf_train.op_allowlist import load_allowlist
    from vmaf_train.task import ExportSpec, TensorSpec

    allowlist = load_allowlist()
    yield Finding("op list", "ok", f"{len(allowlist.ops)} operators, {allowlist.path}")
    facts = build_facts()
    network, config = nn.Conv2d(1, 1, 3, padding=1), ExportConfig()
    axes = (1, 1, "H", "W")
    spec = ExportSpec(TensorSpec("frame", axes), TensorSpec("map", axes), probe_sizes=((1, 1), (5, 8)))
    exported = export_onnx(network, spec, config, allowlist)
    found = f"a convolution at opset {exported.report.opset}, onnx {facts['onnx']}, onnxscript"
    yield Finding("exporter", "ok", f"{found} {facts['onnxscript']}")
    worst = max(probe.max_abs_diff for probe in check_parity(exported.data, network, spec, config))
    yield Finding("runtime", "ok", f"onnxruntime {facts['onnxruntime']}, {worst:.1e} away from torch")


def _disk() -> Iterator[Finding]:
    for name, folder in (("disk, here", Path.cwd()), ("disk, cache", default_cache_dir())):
        there = next(place for place in (folder, *folder.parents) if place.exists())
        free = shutil.disk_usage(there).free / _GIB
        found = f"{free:.1f} GiB free at {there}"
        if not os.access(there, os.W_OK):
            yield Finding(name, "broken", f"{there} cannot be written", "work in a folder of your own")
        elif free < _NEEDED_GIB:
            yield Finding(name, "broken", found, f"free at least {_NEEDED_GIB:g} GiB")
        elif free < _WANTED_GIB:
            yield Finding(name, "note", found, f"10,000 decoded pictures take {_WANTED_GIB:.1f} GiB")
        else:
            yield Finding(name, "ok", found)


def _tools() -> Iterator[Finding]:
    uses = {
        ("ffmpeg", ("ffmpeg",)): "reading clips needs it",
        ("C++ compiler", ("c++", "g++", "clang++")): "fit.compile=true needs it",
        ("git", ("git",)): "the version tells its commit by it",
    }
    for (name, commands), use in uses.items():
        found = next(filter(None, map(shutil.which, commands)), None)
        if found:
            yield Finding(name, "ok", found)
        else:
            yield Finding(name, "note", "not found", f"install it if you want it: {use}")


def _extras() -> Iterator[Finding]:
    requirements = _requirements()
    for extra in importlib.metadata.metadata(_DISTRIBUTION).get_all("Provides-Extra") or ():
        unmet = [
            text
            for item in requirements
            if item.marker is not None
            and item.marker.evaluate({"extra": extra})
            and not item.marker.evaluate({"extra": ""})
            and item.name != _DISTRIBUTION
            and (text := _unmet(item))
        ]
        if unmet:
            step = f"pip install 'vmaf-train[{extra}]' if you want it"
            yield Finding(f"extra {extra}", "note", "; ".join(unmet), step)
        else:
            yield Finding(f"extra {extra}", "ok", "installed")


def _tasks() -> Iterator[Finding]:
    entries = discover_tasks()
    if not any(entry.distribution == _DISTRIBUTION for entry in entries):
        yield Finding("tasks", "broken", "no built-in task is declared", _INSTALL)
    for entry in entries:
        name = f"task {entry.name}"
        if entry.plugin is not None:
            yield Finding(name, "ok", f"from {entry.distribution}")
        elif entry.distribution == _DISTRIBUTION:
            yield Finding(name, "broken", entry.cause, _INSTALL)
        else:
            # The other tasks go on without it.
            yield Finding(name, "note", entry.cause, f"mend or uninstall {entry.distribution}")


_LOOKS: tuple[tuple[str, Callable[[], Iterator[Finding]], str], ...] = (
    ("installation", _versions, "pip install vmaf-train, in a checkout: pip install -e ."),
    ("packages", _packages, _INSTALL),
    ("torch", _torch, "install torch again"),
    ("exporter", _exporter, _INSTALL),
    ("disk", _disk, "work in a folder that is there"),
    ("tools", _tools, "see PATH"),
    ("extras", _extras, _INSTALL),
    ("tasks", _tasks, _INSTALL),
)
