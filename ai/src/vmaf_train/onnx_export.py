"""One self-contained ONNX file from a network, read back from its bytes and proved."""

from __future__ import annotations

import copy
import logging
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import version_converter
from torch import Tensor, nn

from vmaf_train.config import ExportConfig
from vmaf_train.errors import ConfigError, ContractError
from vmaf_train.files import sha256_bytes
from vmaf_train.frames import MAP_ROUNDING
from vmaf_train.op_allowlist import Allowlist, AllowlistReport, check_graph
from vmaf_train.run_record import ExportRecord, ParityProbe, TensorRecord
from vmaf_train.task import ExportSpec, TensorSpec

__all__ = [
    "ExportedModel",
    "check_contract",
    "check_parity",
    "export_onnx",
    "normalise_model",
    "open_session",
    "record_export",
    "tensor_shape",
]

IR_VERSION = 8
"""The file format that came with opset 17; every runtime that knows the opset reads it."""
PRODUCER = "vmaf_train"
PRODUCER_VERSION = "1"
"""Raised whenever the same weights would give other bytes; not the package's version."""

_EXPORTER_OPSET = 18
"""The least opset that torch's exporter builds; the converter brings it down."""
_TERMINAL_CODE = re.compile(r"\x1b\[[0-9;]*m")

_SEEDED_INPUTS = 32


@dataclass(frozen=True)
class ExportedModel:
    """The final bytes of a file, and what the op check read in them."""

    data: bytes
    report: AllowlistReport


def export_onnx(
    network: nn.Module, spec: ExportSpec, config: ExportConfig, allowlist: Allowlist | None = None
) -> ExportedModel:
    """Return the ONNX file of what ``spec`` ships of ``network``; the network is left as it was.

    The same weights give the same bytes: names, producer, IR version and order are fixed, and
    doc strings, stack traces and metadata are removed.

    Raises:
        ConfigError: the exporter's packages are missing or too old.
        ContractError: the exporter fails, or the file breaks the contract.
    """
    # A copy in eval mode on the CPU: BatchNorm folds, Dropout vanishes, training goes on unharmed.
    shipped = spec.shipped(copy.deepcopy(network).to("cpu", torch.float32)).eval()
    shipped = shipped.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    height, width = spec.probe_sizes[-1]
    example = torch.zeros(tensor_shape(spec.input, height, width))
    free = {
        axis: torch.export.Dim.DYNAMIC for axis, name in enumerate(spec.input.axes) if isinstance(name, str)
    }
    try:
        with _quiet_exporter():
            program = torch.onnx.export(
                shipped,
                (example,),
                dynamo=True,
                opset_version=_EXPORTER_OPSET,
                input_names=[spec.input.name],
                output_names=[spec.output.name],
                dynamic_shapes=(free,),
                external_data=False,
                verbose=False,
            )
            if program is None:
                raise RuntimeError("the exporter returned nothing")
            # The op list speaks first: the converter knows fewer operators, and names no node.
            check_graph(program.model_proto.SerializeToString(), allowlist).require()
            model = version_converter.convert_version(program.model_proto, config.opset)
    except ImportError as error:
        raise ConfigError(
            "the ONNX exporter",
            expected="the package onnxscript",
            found=str(error),
            next_step="install vmaf-train again with its dependencies",
        ) from error
    except ContractError:
        raise
    except Exception as error:  # the exporter raises many kinds, each with a page of text
        cause: BaseException = error
        while cause.__cause__ is not None:  # the network's own error is the innermost one
            cause = cause.__cause__
        lines = _TERMINAL_CODE.sub("", str(cause)).splitlines()
        reason = next((line for line in lines if line.strip()), "no words")
        raise ContractError(
            "the ONNX export",
            expected="a network that torch's exporter can trace with free height and width",
            found=f"{type(cause).__name__}: {reason}",
            next_step="change the network's forward",
        ) from error
    normalise_model(model, spec)
    data = model.SerializeToString(deterministic=True)
    return ExportedModel(data, check_contract(data, spec, config, allowlist))


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    quieted = {"torch.onnx": logging.ERROR, "onnxscript": logging.ERROR, "onnx_ir": logging.ERROR}
    quieted["torch.export"] = logging.CRITICAL  # what it logs as an error, it raises too
    loggers = [logging.getLogger(name) for name in quieted]
    levels = [logger.level for logger in loggers]
    for logger, level in zip(loggers, quieted.values(), strict=True):
        logger.setLevel(level)
    try:
        with warnings.catch_warnings():
            # Deprecations inside torch's own exporter are not our user's business.
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def tensor_shape(spec: TensorSpec, height: int, width: int) -> tuple[int, ...]:
    """Return a tensor's sizes for one frame size: the first free axis is height, the second width."""
    free = iter((height, width))
    return tuple(next(free) if isinstance(axis, str) else axis for axis in spec.axes)


def normalise_model(model: onnx.ModelProto, spec: ExportSpec) -> None:
    """Remove whatever depends on the machine or the moment from ``model``, in place, and fix the rest."""
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = PRODUCER, PRODUCER_VERSION
    model.domain, model.model_version = "", 0
    del model.metadata_props[:]
    model.doc_string = ""
    graph = model.graph
    graph.name, graph.doc_string = "main", ""
    # Shapes of inner values repeat the initialisers and hinder later quantisation.
    del graph.value_info[:]
    del graph.metadata_props[:]
    counts: dict[str, int] = {}
    for node in graph.node:
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
        node.name = f"{node.op_type}_{counts[node.op_type]}"
        node.doc_string = ""
        del node.metadata_props[:]
    for initializer in graph.initializer:
        initializer.doc_string = ""
        del initializer.metadata_props[:]
    for values, wanted in ((graph.input, spec.input), (graph.output, spec.output)):
        for value in values:
            value.doc_string = ""
            del value.metadata_props[:]
            dims = value.type.tensor_type.shape.dim
            if len(dims) == len(wanted.axes):
                # Only a free axis is renamed: a size that was baked in must stay visible.
                for dim, axis in zip(dims, wanted.axes, strict=True):
                    if isinstance(axis, str) and dim.HasField("dim_param"):
                        dim.dim_param = axis


def _read_tensor(value: onnx.ValueInfoProto) -> TensorRecord:
    tensor = value.type.tensor_type
    axes = tuple(
        dim.dim_value if dim.HasField("dim_value") else (dim.dim_param or "?") for dim in tensor.shape.dim
    )
    return TensorRecord(
        name=value.name, dtype=onnx.TensorProto.DataType.Name(tensor.elem_type).lower(), axes=axes
    )


def check_contract(
    data: bytes, spec: ExportSpec, config: ExportConfig, allowlist: Allowlist | None = None
) -> AllowlistReport:
    """Compare the bytes with the op list and with ``spec``: names, types, axes, opset, ops.

    Raises:
        ContractError: the first difference.
    """
    report = check_graph(data, allowlist)
    report.require()
    model = onnx.load_model_from_string(data)
    if report.opset != config.opset:
        raise ContractError(
            "the ONNX file's opset",
            expected=str(config.opset),
            found=str(report.opset),
            next_step="install an onnx whose version converter knows every operator of the network",
        )
    for side, values, wanted in (
        ("input", model.graph.input, spec.input),
        ("output", model.graph.output, spec.output),
    ):
        found = [_read_tensor(value) for value in values]
        if [(item.name, item.dtype, item.axes) for item in found] != [(wanted.name, "float", wanted.axes)]:
            raise ContractError(
                f"the ONNX file's {side}",
                expected=f"one float32 {wanted.name} {list(wanted.axes)}",
                found=", ".join(f"{item.dtype} {item.name} {list(item.axes)}" for item in found) or "none",
                next_step="correct the network or its export spec",
            )
    refused = set(report.ops) - spec.ops if spec.ops is not None else set()
    if refused:
        named = next(node for node in model.graph.node if node.op_type in refused)
        raise ContractError(
            f"operator {named.op_type} (node {named.name})",
            expected="one of " + ", ".join(sorted(spec.ops or ())),
            found=", ".join(sorted(refused)),
            next_step="change the network's forward or the task's export spec",
        )
    return report


def open_session(data: bytes, threads: int = 0) -> onnxruntime.InferenceSession:
    """Return a session on the CPU for the model in ``data``; 0 threads takes one per processor."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _probe_inputs(spec: ExportSpec, real: Sequence[Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yield (kind, input): every probe size, many seeds at one size, extremes, real samples."""
    generator = torch.Generator().manual_seed(20170721)
    for height, width in spec.probe_sizes:
        shape = tensor_shape(spec.input, height, width)
        yield "normal", torch.randn(shape, generator=generator)
        # Black and white pictures lie near -2.1 and 2.7 after ImageNet normalisation.
        yield "extremes", torch.randint(0, 2, shape, generator=generator).float() * 4.8 - 2.1
    shape = tensor_shape(spec.input, *spec.probe_sizes[len(spec.probe_sizes) // 2])
    for _ in range(_SEEDED_INPUTS):
        yield "normal", torch.randn(shape, generator=generator)
    yield "lowest", torch.full(shape, -2.2)
    yield "highest", torch.full(shape, 2.7)
    yield "wide", 10.0 * torch.randn(shape, generator=generator)
    for sample in real:
        yield "real", sample.float().contiguous()


def check_parity(
    data: bytes, network: nn.Module, spec: ExportSpec, config: ExportConfig, real: Sequence[Tensor] = ()
) -> tuple[ParityProbe, ...]:
    """Compare PyTorch and ONNX Runtime on ``data``, both on the CPU in float32.

    Args:
        data: the final bytes of the file.
        network: the trained network, before ``spec.shipped``.
        spec: sizes to probe and the range the output must keep.
        config: the largest difference allowed.
        real: further inputs ``[1, C, H, W]``, for instance validation samples.

    Returns:
        The worst probe of each (size, kind).

    Raises:
        ContractError: a shape, range or difference that is not proved to be right; NaN proves
            nothing.
    """
    shipped = spec.shipped(copy.deepcopy(network).to("cpu", torch.float32)).eval()
    session = open_session(data)
    worst: dict[tuple[int, int, str], ParityProbe] = {}
    for kind, batch in _probe_inputs(spec, real):
        height, width = int(batch.shape[-2]), int(batch.shape[-1])
        where = f"the ONNX file at {height}x{width} on {kind} values"
        with torch.inference_mode():
            reference = shipped(batch).numpy()
        (found,) = session.run([spec.output.name], {spec.input.name: batch.numpy()})
        expected_shape = tensor_shape(spec.output, height, width)
        if found.shape != expected_shape or reference.shape != expected_shape:
            raise ContractError(
                where,
                expected=f"shape {list(expected_shape)}",
                found=f"{list(found.shape)} (PyTorch {list(reference.shape)})",
                next_step="correct the network: the reader would average a shorter map silently",
            )
        low, high = spec.output_range or (-np.inf, np.inf)
        inside = (found >= low - _rounding(low)) & (found <= high + _rounding(high))
        if not bool((np.isfinite(found) & inside).all()):
            raise ContractError(
                where,
                expected=f"finite values from {low:g} to {high:g}",
                found=f"{float(found.min())} to {float(found.max())}",
                next_step="find the weight or operator that leaves the range",
            )
        difference = float(np.abs(found.astype(np.float64) - reference).max())
        if not difference <= config.max_abs_diff:
            raise ContractError(
                where,
                expected=f"at most {config.max_abs_diff:g} between PyTorch and ONNX Runtime",
                found=f"{difference:g}",
                next_step="do not ship it; compare the two node by node",
            )
        probe = ParityProbe(height=height, width=width, values=kind, max_abs_diff=difference)
        key = (height, width, kind)
        if key not in worst or probe.max_abs_diff > worst[key].max_abs_diff:
            worst[key] = probe
    return tuple(worst[key] for key in sorted(worst))


def _rounding(bound: float) -> float:
    """How far beyond ``bound`` a runtime's approximation of a bounded function may lie."""
    return float(MAP_ROUNDING) * max(1.0, abs(bound)) if np.isfinite(bound) else 0.0


def record_export(
    exported: ExportedModel, spec: ExportSpec, config: ExportConfig, parity: tuple[ParityProbe, ...]
) -> ExportRecord:
    """Return the record of the file, every figure read back from its bytes."""
    model = onnx.load_model_from_string(exported.data)
    return ExportRecord(
        sha256=sha256_bytes(exported.data),
        size_bytes=len(exported.data),
        opset=exported.report.opset or 0,
        ir_version=model.ir_version,
        producer=f"{model.producer_name} {model.producer_version}",
        ops=exported.report.ops,
        nodes=exported.report.nodes,
        inputs=tuple(_read_tensor(value) for value in model.graph.input),
        outputs=tuple(_read_tensor(value) for value in model.graph.output),
        size_multiple=spec.size_multiple,
        min_size=spec.min_size,
        input_contract=dict(spec.input_contract),
        parity_limit=config.max_abs_diff,
        parity=parity,
    )
