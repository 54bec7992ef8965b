"""The 8-bit form of a registered model: made from training samples, measured, and shipped if it holds.

Static quantisation in the QDQ form by ONNX Runtime's quantiser (Jacob et al., "Quantization and
Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018).
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import logging
import math
import statistics
import tempfile
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray

from vmaf_train.config import TaskConfig
from vmaf_train.config_files import load_config
from vmaf_train.errors import ConfigError, ContractError, GateError
from vmaf_train.files import sha256_bytes
from vmaf_train.loader import VALIDATION_EPOCH, BatchLoader, sample_stream
from vmaf_train.onnx_export import check_contract, normalise_model, open_session, tensor_shape
from vmaf_train.page_pictures import pictures_of_tests
from vmaf_train.publish import publish_quantised
from vmaf_train.registry import load_model
from vmaf_train.report import Reporter
from vmaf_train.run_record import QuantisedRecord, RunRecord
from vmaf_train.task import ExportSpec, Metric, Samples, Task, TaskPlugin
from vmaf_train.validation import sample_counts

__all__ = ["config_of_record", "measure_file", "quantise", "quantise_bytes", "with_added_ops"]

METHOD = "static QDQ, weights uint8 per channel around 128, activations uint8 by range"
_ADDED_OPS = frozenset({"QuantizeLinear", "DequantizeLinear"})
_QUANTISED_OPS = ("Conv", "ConvTranspose")
"""What is worth it: the arithmetic. Resizing and adding stay in float."""
_TIMED_RUNS = 15
_TIMED_ROUNDS = 3
_TIMED_SIZES = ((256, 256), (1080, 1920))
_FIRST_EPOCH = 1


def quantise(
    plugin: TaskPlugin[Any],
    model_id: str,
    data: Sequence[Path],
    *,
    model_dir: Path,
    docs_dir: Path,
    calibration: int,
    max_fall: float,
    threads: int,
    reporter: Reporter,
) -> RunRecord:
    """Make, measure and publish ``<id>.int8.onnx``; return the model's record with its figures.

    Args:
        plugin: the model's task.
        model_id: the registered model.
        data: the folders that the model was trained on, for a task that reads any.
        model_dir: the registry's folder.
        docs_dir: the folder of docs pages.
        calibration: training samples to read the ranges of values from.
        max_fall: the most that the primary metric may fall, in its units.
        threads: threads of a timed run.
        reporter: told of progress.

    Raises:
        ConfigError: the model is not registered, or the data is not what it was trained on, or there
            is none.
        ContractError: the quantised file breaks the contract.
        GateError: the metric falls by more than ``max_fall``, or below the gate; nothing was changed.
        PublishError: the model is damaged, or the folder cannot be written.
    """
    record, original = load_model(model_dir, model_id)
    config = config_of_record(plugin, record, data)
    task = plugin.create(config)
    spec = task.export_spec()
    splits = task.load_data(reporter.progress) if config.fit.epochs else None
    if splits is None or record.data is None or splits.provenance.digest != record.data.digest:
        raise ConfigError(
            f"the data of {model_id}",
            expected="the pairs it was trained on"
            + (f", digest {record.data.digest[:12]}" if record.data is not None else ""),
            found=f"digest {splits.provenance.digest[:12]}" if splits is not None else "an untrained model",
            next_step="give the folders it was trained on, each with --data",
        )
    held_out = splits.provenance.held_out
    if None not in (held_out, record.data.held_out) and held_out != record.data.held_out:
        raise ConfigError(
            f"the held-out samples of {model_id}",
            expected=f"those it was chosen by, digest {str(record.data.held_out)[:12]}",
            found=f"digest {str(held_out)[:12]}",
            next_step="use the version of the task that trained it: others were trained on",
        )
    small = quantise_bytes(original, spec, config, splits.train, calibration)
    report = check_contract(small, with_added_ops(spec), config.export)
    measured = measure_file(original, task, spec, splits.val, reporter, "float32")
    float_value = _primary(measured)
    int8_value = _primary(measure_file(small, task, spec, splits.val, reporter, "8-bit"))
    fall = float_value - int8_value
    least = config.gate.min_value
    # A NaN makes a comparison false, so only proved figures pass.
    if not (math.isfinite(float_value) and fall <= max_fall and int8_value >= least):
        raise GateError(
            f"the 8-bit form of {model_id}",
            expected=f"{measured.primary} within {max_fall:g} of {float_value:.4f}, at least {least:g}",
            found=f"{int8_value:.4f}",
            next_step="nothing was changed; raise --calibration, or keep the float file alone",
        )
    record = record.model_copy(
        update={
            "quantised": QuantisedRecord(
                sha256=sha256_bytes(small),
                size_bytes=len(small),
                method=METHOD,
                calibration=min(calibration, len(splits.train)),
                ops=report.ops,
                metric=measured.primary,
                samples=sample_counts(measured).get(measured.primary, len(splits.val)),
                float_value=float_value,
                int8_value=int8_value,
                max_fall=max_fall,
                milliseconds=_times(original, small, spec, threads),
                threads=threads,
            ),
        }
    )
    return publish_quantised(model_dir, docs_dir, record, small, pictures_of_tests)


def config_of_record(plugin: TaskPlugin[Any], record: RunRecord, data: Sequence[Path] = ()) -> TaskConfig:
    """Return the config of a recorded run, with the data folders that only this machine knows.

    Raises:
        ConfigError: today's task refuses the recorded values, or so many folders.
    """
    changes: dict[str, Any] = dict(record.config)
    if data:
        changes["data.root"] = data[0]
    if data[1:]:
        changes["data.extra_roots"] = tuple(data[1:])
    config: TaskConfig = load_config(plugin.config_type, None, (), changes)
    return config


def quantise_bytes(
    original: bytes, spec: ExportSpec, config: TaskConfig, train: Samples, calibration: int
) -> bytes:
    """Return the 8-bit form of ``original``; the same bytes for the same samples.

    Args:
        original: the float file.
        spec: its contract.
        config: the run's config, whose seed draws the samples.
        train: what to read ranges of values from.
        calibration: how many of them, at most.

    Raises:
        ContractError: the quantiser refuses the file.
    """
    with tempfile.TemporaryDirectory() as scratch, _quiet_quantiser():
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

        source, target = Path(scratch) / "float.onnx", Path(scratch) / "int8.onnx"
        source.write_bytes(original)
        try:
            quantize_static(
                source,
                target,
                _Calibration(spec.input.name, train, config.fit.seed, calibration),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=list(_QUANTISED_OPS),
                per_channel=True,
                # Not int8: x86 without VNNI multiplies uint8 by int8 into sums of two that saturate
                # at 16 bits, so that the same file would say other things on other processors.
                weight_type=QuantType.QUInt8,
                activation_type=QuantType.QUInt8,
                extra_options={"WeightSymmetric": True},  # one zero point, which the fused form needs
            )
        except Exception as error:  # the quantiser's exceptions share no base class
            raise ContractError(
                "the float file",
                expected="a graph that ONNX Runtime's quantiser takes",
                found=f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}",
                next_step="keep the float file alone",
            ) from error
        model = onnx.load_model(target)
    normalise_model(model, spec)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


class _Calibration:
    """Training samples one by one, as the quantiser asks for them."""

    def __init__(self, name: str, train: Samples, seed: int, count: int) -> None:
        # Spread over the whole set: neighbours in a listing often come from one source.
        chosen = np.linspace(0, len(train) - 1, min(count, len(train))).round().astype(int).tolist()
        self._batches = (
            {name: train.batch([item], [sample_stream(seed, _FIRST_EPOCH, item)])[0].contiguous().numpy()}
            for item in chosen
        )

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """Return the next sample by the input's name, None after the last."""
        return next(self._batches, None)


@contextlib.contextmanager
def _quiet_quantiser() -> Iterator[None]:
    # The quantiser warns of missing shapes through the root logger, and prints what it does.
    logger, level = logging.getLogger(), logging.getLogger().level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def with_added_ops(spec: ExportSpec) -> ExportSpec:
    """Return ``spec`` with the operators that the 8-bit form of its file may hold too."""
    return spec if spec.ops is None else dataclasses.replace(spec, ops=spec.ops | _ADDED_OPS)


def measure_file(
    data: bytes, task: Task, spec: ExportSpec, samples: Samples, reporter: Reporter, name: str
) -> Metric:
    """Return the task's metric with the answers of the file ``data`` to ``samples``, each fed alone.

    Raises:
        ContractError: an output that is not finite.
    """
    session = open_session(data, 0)
    metric = task.metric()
    pairs = BatchLoader(samples, 1, 0, train=False).epoch(VALIDATION_EPOCH)
    for number, (batch, target) in enumerate(pairs, start=1):
        (output,) = session.run([spec.output.name], {spec.input.name: batch.contiguous().numpy()})
        if not bool(np.isfinite(output).all()):
            raise ContractError(
                f"the {name} file on sample {number}",
                expected="finite values",
                found="NaN or infinity",
                next_step="do not ship it",
            )
        metric.update(spec.metric_input(torch.from_numpy(output)), target)
        reporter.progress(f"measure the {name} file", number, len(samples))
    return metric


def _primary(metric: Metric) -> float:
    return float(metric.compute()[metric.primary])


def _times(original: bytes, small: bytes, spec: ExportSpec, threads: int) -> dict[str, tuple[float, float]]:
    """Milliseconds of both files by frame size: the lesser median of the rounds in which they take turns."""
    found: dict[str, tuple[float, float]] = {}
    for height, width in _fitting(_TIMED_SIZES, spec.size_multiple):
        frame = (
            np.random.default_rng(0).normal(size=tensor_shape(spec.input, height, width)).astype(np.float32)
        )
        rounds = [
            [_median_ms(data, {spec.input.name: frame}, threads) for data in (original, small)]
            for _ in range(_TIMED_ROUNDS)
        ]
        float32, int8 = (min(medians) for medians in zip(*rounds, strict=True))
        found[f"{height}x{width}"] = (float32, int8)
    return found


def _median_ms(data: bytes, feed: dict[str, NDArray[np.float32]], threads: int) -> float:
    # One session at a time: the threads of an idle one wait for work without sleeping.
    session = open_session(data, threads)
    taken = []
    for _ in range(_TIMED_RUNS + 1):
        began = time.perf_counter()
        session.run(None, feed)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[1:]) * 1e3  # the first run plans


def _fitting(sizes: Sequence[tuple[int, int]], multiple: int) -> list[tuple[int, int]]:
    """Bring each size up to what the graph takes."""
    return [(-(-height // multiple) * multiple, -(-width // multiple) * multiple) for height, width in sizes]
