"""A model file at work: opened from its bytes, held to the map contract, fed frames of any size.

The contract: one float32 input ``[1, 3, H, W]``, one float32 output ``[1, 1, H, W]``, values 0 to 1.
Names are the file's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from vmaf_train.errors import ContractError
from vmaf_train.files import sha256_bytes
from vmaf_train.frames import clipped_map
from vmaf_train.op_allowlist import read_model
from vmaf_train.registry import record_beside
from vmaf_train.scan_state import MAX_MODEL_BYTES

__all__ = ["MapModel", "open_model"]

Floats = NDArray[np.float32]

_MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
_PROBED_SIDE = 64
_FATAL_ONLY = 4


@dataclass(frozen=True)
class MapModel:
    """An opened model; :meth:`run` may be called from several threads at once.

    Attributes:
        path: the file it came from.
        sha256: of the file's bytes, lower-case hex.
        input_name: the input's name in the file.
        output_name: the output's name in the file.
        size_multiple: height and width that the graph takes are multiples of this.
        min_size: least height and width that the graph takes.
        threads: threads that one run uses.
    """

    path: Path
    sha256: str
    input_name: str
    output_name: str
    size_multiple: int
    min_size: int
    threads: int
    session: Any

    @property
    def name(self) -> str:
        """The file's name without its last suffix."""
        return self.path.stem

    @property
    def sizing(self) -> str:
        """What is done to frames of a size that the graph does not take; empty if it takes all."""
        if self.size_multiple == 1 and self.min_size == 1:
            return ""
        least = f" of at least {self.min_size}" if self.min_size > self.size_multiple else ""
        return (
            f"height and width edge-padded to multiples of {self.size_multiple}{least}, the map cropped back"
        )

    def fed_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the height and width at which the graph runs for a frame of that size."""
        return self._fed(height), self._fed(width)

    def _fed(self, side: int) -> int:
        return -(-max(side, self.min_size) // self.size_multiple) * self.size_multiple

    def run(self, batch: Floats) -> Floats:
        """Return the map ``[1, 1, H, W]`` of one frame ``[1, 3, H, W]``, both float32.

        A frame of a size that the graph does not take is continued by its edge pixels to the right
        and below, and the map is cropped back.

        Raises:
            ContractError: the model fails at this size, or its output is not float32 of exactly that
                shape with finite values from 0 to 1.
        """
        if batch.dtype != np.float32 or batch.ndim != 4 or batch.shape[:2] != (1, 3) or batch.size == 0:
            raise ContractError(
                "a frame",
                expected="float32 of shape [1, 3, H, W]",
                found=f"{batch.dtype} of shape {list(batch.shape)}",
                next_step="convert it with rgb_to_tensor or yuv_to_tensor",
            )
        height, width = batch.shape[2:]
        tall, wide = self.fed_size(height, width)
        if (tall, wide) != (height, width):
            batch = np.pad(batch, ((0, 0), (0, 0), (0, tall - height), (0, wide - width)), mode="edge")
        where = f"{self.path} at {tall}x{wide}"
        try:
            (output,) = self.session.run([self.output_name], {self.input_name: batch})
        except Exception as error:  # the runtime's exceptions share no base class
            raise ContractError(
                where,
                expected="a map",
                found=_first_line(error),
                next_step="use a model whose graph takes this height and width",
            ) from error
        if output.dtype != np.float32 or output.shape != (1, 1, tall, wide):
            raise ContractError(
                where,
                expected=f"a float32 map of shape [1, 1, {tall}, {wide}]",
                found=f"{output.dtype} of shape {list(output.shape)}",
                next_step="use a model that keeps the frame's size",
            )
        return clipped_map(output[:, :, :height, :width], where)


def open_model(path: Path, *, threads: int = 1) -> MapModel:
    """Open a model file and find out which sizes its graph takes.

    The sizes come from the sidecar beside it if that is of these very bytes, else from trying.

    Args:
        path: the ONNX file; its weights must be inside.
        threads: threads of one run; 0 takes one per processor.

    Raises:
        ContractError: the file is missing, is no model that the runtime loads, or breaks the
            contract; names what differs.
    """
    data = _read(path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL_ONLY  # what fails is told by its exception
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # The plan of a size is kept for ever, so a session that meets many sizes would grow.
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's exceptions share no base class
        raise ContractError(
            str(path),
            expected="a model that ONNX Runtime loads, with its weights inside",
            found=_first_line(error),
            next_step="see what vmaf-train check says about the file",
        ) from error
    source, result = session.get_inputs(), session.get_outputs()
    _require_signature(path, "input", source, 3)
    _require_signature(path, "output", result, 1)
    names = source[0].name, result[0].name
    model = MapModel(path, sha256_bytes(data), *names, 1, 1, threads, session)
    multiple, least = _recorded_sizes(model) or (_probed_multiple(model), 1)
    return replace(model, size_multiple=multiple, min_size=least)


def _read(path: Path) -> bytes:
    data = read_model(path)
    if not 0 < len(data) <= MAX_MODEL_BYTES:
        raise ContractError(
            str(path),
            expected="a readable ONNX file",
            found=f"more than {MAX_MODEL_BYTES} bytes" if data else "an empty file",
            next_step="give the path of a model file",
        )
    return data


def _require_signature(path: Path, side: str, values: Sequence[Any], channels: int) -> None:
    shape = list(values[0].shape or ()) if len(values) == 1 else []
    fits = len(shape) == 4 and values[0].type == "tensor(float)"
    if fits:
        batch, middle, *plane = shape
        # What stays free in the file is held to the exact size whenever the model runs.
        fits = (batch == 1 or not isinstance(batch, int)) and not any(isinstance(axis, int) for axis in plane)
        fits = fits and (middle == channels or (side == "output" and not isinstance(middle, int)))
    if not fits:
        raise ContractError(
            f"the {side} of {path}",
            expected=f"one float32 [1, {channels}, H, W] with free H and W",
            found="; ".join(f"{item.name} {item.type} {item.shape}" for item in values) or "none",
            next_step="export the model with that contract",
        )


def _recorded_sizes(model: MapModel) -> tuple[int, int] | None:
    record = record_beside(model.path, model.sha256)
    if record is None or record.export is None:
        return None
    return record.export.size_multiple, record.export.min_size


def _probed_multiple(model: MapModel) -> int:
    """Return the least multiple of height and width at which the model keeps the contract.

    Raises:
        ContractError: none of those tried; the last one's fault.
    """
    fault: ContractError | None = None
    for multiple in _MULTIPLES:
        # Odd counts of the multiple: a size that only a larger multiple needs is met too.
        odd = -(-_PROBED_SIDE // multiple) | 1
        sizes = ((odd * multiple, (odd + 2) * multiple), ((odd + 1) * multiple, odd * multiple))
        try:
            for height, width in sizes:
                model.run(np.zeros((1, 3, height, width), dtype=np.float32))
        except ContractError as error:
            fault = error
            continue
        return multiple
    assert fault is not None
    raise fault


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
