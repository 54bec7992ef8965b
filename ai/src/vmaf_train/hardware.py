"""What computes: device, precision and threads, and the record of them."""

from __future__ import annotations

import ctypes
import importlib.metadata
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

import vmaf_train
from vmaf_train.build_facts import loaded_code
from vmaf_train.config import FitConfig
from vmaf_train.errors import ConfigError
from vmaf_train.processor import processor_name
from vmaf_train.run_record import EnvironmentRecord

__all__ = [
    "Hardware",
    "choose_hardware",
    "environment_record",
    "keep_freed_memory",
    "reproducible_arithmetic",
]

_CUBLAS_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


@dataclass(frozen=True)
class Hardware:
    """Where and in which precision a network is trained."""

    device: Literal["cpu", "cuda"]
    precision: Literal["float32", "bfloat16"]
    threads: int
    channels_last: bool

    @property
    def memory_format(self) -> torch.memory_format:
        """The layout of image tensors."""
        return torch.channels_last if self.channels_last else torch.contiguous_format

    def place(self, batch: Tensor) -> Tensor:
        """Return ``batch`` on the device, images in the chosen layout."""
        layout = self.memory_format if batch.dim() == 4 else torch.preserve_format
        return batch.to(self.device, non_blocking=True, memory_format=layout)

    def autocast(self) -> torch.autocast:
        """Return the context in which the network computes in the chosen precision."""
        reduced = self.precision == "bfloat16"
        return torch.autocast(self.device, dtype=torch.bfloat16, enabled=reduced, cache_enabled=False)


def _cpu_computes_bfloat16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported())


def choose_hardware(config: FitConfig) -> Hardware:
    """Return what ``config`` asks for, with every ``auto`` decided.

    Raises:
        ConfigError: CUDA is asked for and not there.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            "fit.device",
            expected="a CUDA device for 'cuda'",
            found="none that torch can use",
            next_step="set fit.device=auto",
        )
    device: Literal["cpu", "cuda"] = "cpu"
    if config.device == "cuda" or (config.device == "auto" and torch.cuda.is_available()):
        device = "cuda"
    precision: Literal["float32", "bfloat16"]
    if config.precision == "auto":
        computes = torch.cuda.is_bf16_supported() if device == "cuda" else _cpu_computes_bfloat16()
        precision = "bfloat16" if computes else "float32"
    else:
        precision = config.precision
    return Hardware(device, precision, config.threads or torch.get_num_threads(), config.channels_last)


def keep_freed_memory() -> None:
    """Let the C library keep memory that a step frees for the next step, for the life of the process.

    A training step frees and asks for gigabytes of activations in blocks that glibc would hand
    back to the system and fault in again, page by page: on a CPU that is a third of a step.
    Other C libraries are left as they are.
    """
    if platform.libc_ver()[0] == "glibc":
        mmap_max, trim_threshold = -4, -1  # M_MMAP_MAX and M_TRIM_THRESHOLD of malloc.h
        libc = ctypes.CDLL(None)
        libc.mallopt(mmap_max, 0)
        libc.mallopt(trim_threshold, 2**31 - 1)


@contextmanager
def reproducible_arithmetic(hardware: Hardware, *, deterministic: bool) -> Iterator[None]:
    """Set threads and determinism for the block, keep its random draws to itself, then restore."""
    # cuBLAS has a deterministic form only with a workspace of its own, and torch refuses it without.
    lacks = hardware.device == "cuda" and deterministic and _CUBLAS_WORKSPACE not in os.environ
    if lacks:
        os.environ[_CUBLAS_WORKSPACE] = ":4096:8"
    threads = torch.get_num_threads()
    strict = torch.are_deterministic_algorithms_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    with torch.random.fork_rng():
        torch.set_num_threads(hardware.threads)
        torch.use_deterministic_algorithms(deterministic)
        # Filling fresh memory guards code that reads before it writes, at a cost in every op.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        try:
            yield
        finally:
            if lacks:
                os.environ.pop(_CUBLAS_WORKSPACE, None)
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(strict)
            torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]


def environment_record(hardware: Hardware, processes: int = 1) -> EnvironmentRecord:
    """Return versions and machine for the run record; no host, user or path."""
    code = loaded_code()
    return EnvironmentRecord(
        vmaf_train=vmaf_train.__version__,
        commit=code.commit,
        code=code.digest,
        python=platform.python_version(),
        torch=torch.__version__,
        onnx=importlib.metadata.version("onnx"),
        onnxruntime=importlib.metadata.version("onnxruntime"),
        processor=processor_name(),
        device=hardware.device,
        device_name=torch.cuda.get_device_name() if hardware.device == "cuda" else processor_name(),
        precision=hardware.precision,
        threads=hardware.threads,
        processes=processes,
    )
