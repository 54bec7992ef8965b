"""The main path: preflight, data, fit, gate, export, check, publish."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace as replace_fields
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from vmaf_train.build_facts import loaded_code
from vmaf_train.checkpoint import latest_checkpoint
from vmaf_train.config import TaskConfig
from vmaf_train.config_faults import faults_text
from vmaf_train.config_record import config_digest, recorded_config
from vmaf_train.errors import ConfigError, GateError
from vmaf_train.figures import contact_sheet, curves
from vmaf_train.files import sha256_file, write_atomic
from vmaf_train.fit import FitResult, fit
from vmaf_train.hardware import Hardware, choose_hardware, environment_record, reproducible_arithmetic
from vmaf_train.initial_weights import load_initial_weights
from vmaf_train.interruption import StopRequest, stop_signals
from vmaf_train.learner import trainable_parameters
from vmaf_train.left_out import name_left_out
from vmaf_train.loader import VALIDATION_EPOCH, sample_stream
from vmaf_train.onnx_export import check_parity, export_onnx, record_export
from vmaf_train.op_allowlist import load_allowlist
from vmaf_train.page_pictures import pictures_of_tests
from vmaf_train.publish import check_can_publish, publish_failure, publish_model
from vmaf_train.ranks import ALONE, Ranks, joined
from vmaf_train.registry import ModelEntry
from vmaf_train.report import Reporter, SilentReporter, closing_reporter
from vmaf_train.reproducer import reproducer_command
from vmaf_train.run_paths import owned_run_dir, require_data_folders
from vmaf_train.run_record import (
    DataRecord,
    ExportRecord,
    GateRecord,
    RunRecord,
    TrainingRecord,
    finite_or_none,
)
from vmaf_train.task import DataSplits, ExportSpec, Task, TaskPlugin
from vmaf_train.task_checks import checked_texts, require_network, require_splits
from vmaf_train.validation import validate_with_intervals

__all__ = ["RunPaths", "follow", "run"]

_PREVIEWED = 16
_REAL_PROBES = 4
_ONNX_NAME = "model.onnx"
_RECORD_NAME = "run_record.json"


@dataclass(frozen=True)
class RunPaths:
    """Where a run works and where its results go.

    Attributes:
        run_dir: checkpoints, metrics, pictures and the run record; belongs to one run.
        model_dir: the registry's folder.
        docs_dir: the docs pages' folder.
    """

    run_dir: Path
    model_dir: Path
    docs_dir: Path


def run(
    plugin: TaskPlugin[Any],
    config: TaskConfig,
    paths: RunPaths,
    *,
    replace: bool = False,
    resume: bool = False,
    reporter: Reporter | None = None,
) -> RunRecord:
    """Train, prove and publish one model; return its record.

    Args:
        plugin: the task.
        config: its resolved config.
        paths: the folders; missing ones are made.
        replace: whether a registered model of the same id may be replaced.
        resume: whether to go on with the run that ``paths.run_dir`` holds.
        reporter: told of progress.

    Raises:
        ConfigError: the config, data or folders cannot lead to a model; nothing was changed.
        DataError, DivergenceError, ContractError, PublishError: the run failed at that step; no
            weights were emitted.
        GateError: the quality is not proved; a failure page was written, no weights.
        Stopped: SIGINT or SIGTERM came; the run can go on with ``resume``.
    """
    loaded_code()  # as it is now: a checkout that changes during the run is not what ran
    with stop_signals() as stop, closing_reporter(reporter or SilentReporter()) as say:
        task = plugin.create(config)
        hardware = choose_hardware(config.fit)
        with reproducible_arithmetic(hardware, deterministic=config.fit.deterministic):
            preflight(plugin, task, config, paths, replace=replace, resume=resume)
            with owned_run_dir(paths.run_dir, config, resume=resume) as keep_config:
                with joined(hardware.device) as ranks:
                    splits = load_data(task, config, say)
                    name_left_out(splits.left_out if splits is not None else (), paths.run_dir, say)
                    ranks.wait()
                    ranks.wait()  # the others read what was decoded, or decode it once more
                    fitted = train(
                        task,
                        config,
                        splits,
                        hardware,
                        paths.run_dir,
                        say,
                        stop,
                        ranks,
                        keep_config,
                        resume=resume,
                    )
                gate = prove_quality(task, config, splits, fitted, hardware)
                record = describe(plugin, task, config, splits, fitted, gate, hardware, ranks.size)
                draw(task, splits, fitted, record, paths.run_dir, say)
                if gate.applied and not gate.passed:
                    raise refuse(record, paths)
                onnx, export = export_and_check(task, config, splits, fitted.network)
                record = record.model_copy(update={"export": export})
                write_atomic(paths.run_dir / _ONNX_NAME, onnx)
                keep_record(record, paths.run_dir)
                publish_model(
                    record,
                    onnx,
                    model_dir=paths.model_dir,
                    docs_dir=paths.docs_dir,
                    replace=replace,
                    figures=_page_figures(record, ""),
                    pictures=pictures_of_tests,
                )
    return record


def follow(plugin: TaskPlugin[Any], config: TaskConfig, *, resume: bool = False) -> None:
    """Take part in training as a process that torchrun started beside the one that calls :func:`run`.

    Writes nothing and says nothing unless it fails first; its memory and arithmetic are all it gives.

    Raises:
        SystemExit: this process or another one failed; it was said by one of them.
        Stopped: SIGINT or SIGTERM came.
    """
    with stop_signals() as stop:
        task = plugin.create(config)
        hardware = choose_hardware(config.fit)
        with (
            reproducible_arithmetic(hardware, deterministic=config.fit.deterministic),
            joined(hardware.device) as ranks,
        ):
            require_data_folders(config)
            ranks.wait()  # the leading process decodes first, so that the others find it done
            say = SilentReporter()
            splits = load_data(task, config, say)
            ranks.wait()
            train(task, config, splits, hardware, Path(), say, stop, ranks, resume=resume)


def preflight(
    plugin: TaskPlugin[Any],
    task: Task,
    config: TaskConfig,
    paths: RunPaths,
    *,
    replace: bool,
    resume: bool,
) -> None:
    """Refuse at once whatever would fail after training: op list, exporter, contract, registry."""
    earlier = paths.run_dir / _ONNX_NAME
    again = resume and _kept_digest(paths.run_dir) == config_digest(config) and earlier.is_file()
    try:
        text, spec = checked_texts(task)
        entry = ModelEntry(
            id=config.id,
            kind=plugin.kind,
            onnx=f"{config.id}.onnx",
            sha256=sha256_file(earlier) if again else "0" * 64,
            opset=config.export.opset,
            license=plugin.license,
            description=text.title,
            smoke=config.smoke,
        )
    except ValidationError as error:
        raise ConfigError(
            f"the registry row of {config.id}",
            expected="a row that the registry's schema takes",
            found=faults_text(error),
            next_step="correct the task's card text or id",
        ) from error
    tensors = (spec.input.name, spec.output.name)
    check_can_publish(paths.model_dir, paths.docs_dir, entry, replace=replace, tensors=tensors)
    allowlist = load_allowlist()
    with torch.random.fork_rng():
        untrained = task.build_model()
        require_network(task, untrained)
        if config.fit.initial is not None and not (
            resume and latest_checkpoint(paths.run_dir / "checkpoints")
        ):
            load_initial_weights(config.fit.initial, untrained, type(config))
        exported = export_onnx(untrained, spec, config.export, allowlist)
        check_parity(exported.data, untrained, spec, config.export)


def load_data(task: Task, config: TaskConfig, say: Reporter) -> DataSplits | None:
    """Return the task's samples; None for a model that is not trained."""
    if config.fit.epochs == 0:
        return None
    splits = task.load_data(say.progress)
    require_splits(task, splits)
    for corpus in splits.provenance.corpora:
        dropped = ", ".join(f"{count} {reason}" for reason, count in corpus.dropped.items()) or "none"
        seen = ", ".join(f"{count} {kind}" for kind, count in corpus.findings.items())
        say.stage(
            f"data: {corpus.name}: {corpus.found} found, {corpus.kept} kept, dropped: {dropped}"
            + (f"; seen: {seen}" if seen else "")
        )
    say.stage(f"data: {splits.provenance.train} to train on, {splits.provenance.val} held out")
    return splits


def train(
    task: Task,
    config: TaskConfig,
    splits: DataSplits | None,
    hardware: Hardware,
    run_dir: Path,
    say: Reporter,
    stop: StopRequest,
    ranks: Ranks = ALONE,
    accepted: Callable[[], None] = lambda: None,
    *,
    resume: bool,
) -> FitResult:
    """Return the network with its best weights; an untrained smoke model comes back as built.

    ``accepted`` is called when nothing speaks against a resumption, before the first step.
    """
    torch.manual_seed(config.fit.seed)
    network = task.build_model()
    if splits is None:
        accepted()
        record = TrainingRecord(
            parameters=trainable_parameters(network),
            steps=0,
            best_epoch=None,
            primary_metric="",
            history=(),
            seconds=0.0,
            byte_reproducible=True,
        )
        return FitResult(network.eval(), record)
    say.stage(
        f"fit: {hardware.device}, {hardware.precision}, {hardware.threads} threads, "
        f"{config.fit.epochs} epochs of batch {config.fit.batch_size}"
    )
    given = (task, config, splits, network, hardware, run_dir, say)
    return fit(*given, resume=resume, stop=stop, ranks=ranks, accepted=accepted)


def prove_quality(
    task: Task, config: TaskConfig, splits: DataSplits | None, fitted: FitResult, hardware: Hardware
) -> GateRecord:
    """Measure the chosen weights in float32 and hold them against the gate; NaN proves nothing."""
    if splits is None:
        return GateRecord(metric="", value=None, min_value=config.gate.min_value, passed=False, applied=False)
    primary = fitted.record.primary_metric
    in_float32 = replace_fields(hardware, device="cpu", precision="float32")
    metrics, intervals, samples = validate_with_intervals(
        fitted.network, task, splits.val, config.fit.batch_size, in_float32
    )
    value = metrics[primary]
    proved = math.isfinite(value) and value >= config.gate.min_value
    return GateRecord(
        metric=primary,
        value=value if math.isfinite(value) else None,
        min_value=config.gate.min_value,
        passed=proved,
        metrics=finite_or_none(metrics),
        intervals=intervals,
        samples={key: count for key, count in samples.items() if key in metrics and count != len(splits.val)},
    )


def describe(
    plugin: TaskPlugin[Any],
    task: Task,
    config: TaskConfig,
    splits: DataSplits | None,
    fitted: FitResult,
    gate: GateRecord,
    hardware: Hardware,
    processes: int,
) -> RunRecord:
    """Return the run's record, as yet without a file."""
    provenance: DataRecord | None = splits.provenance if splits is not None else None
    return RunRecord(
        id=config.id,
        task=plugin.name,
        kind=plugin.kind,
        smoke=config.smoke,
        license=plugin.license,
        config=recorded_config(config),
        config_digest=config_digest(config),
        reproducer=reproducer_command(plugin, config, provenance, fitted.record.earlier),
        finished=datetime.datetime.now(datetime.UTC).date().isoformat(),
        environment=environment_record(hardware, processes),
        data=provenance,
        training=fitted.record,
        gate=gate,
        export=None,
        card=task.card_text(),
    )


def draw(
    task: Task, splits: DataSplits | None, fitted: FitResult, record: RunRecord, run_dir: Path, say: Reporter
) -> None:
    """Put curves and a contact sheet into the run folder, for people to look at."""
    if splits is None or not fitted.record.history:
        return
    write_atomic(run_dir / "curves.png", curves(fitted.record.history, record.id, form="png"))
    batch, target = _some(splits, _PREVIEWED)
    with torch.inference_mode():
        output = fitted.network(batch)
    try:
        sheet = contact_sheet(task.preview(batch, output.float(), target))
    except Exception as error:  # a picture that a task cannot draw must not cost a finished run
        say.stage(f"no contact sheet: preview of the task failed: {type(error).__name__}: {error}")
        return
    if sheet is not None:
        write_atomic(run_dir / "contact_sheet.png", sheet)


def refuse(record: RunRecord, paths: RunPaths) -> GateError:
    """Write the failure page and return the error to raise; nothing under the model folder changes."""
    keep_record(record, paths.run_dir)
    page = publish_failure(record, paths.docs_dir, _page_figures(record, "_failed"))
    gate = record.gate
    return GateError(
        f"the quality gate of {record.id}",
        expected=f"{gate.metric} of at least {gate.min_value:g}",
        found=gate.shown,
        next_step=f"no weights were emitted; see {page}",
    )


def export_and_check(
    task: Task, config: TaskConfig, splits: DataSplits | None, network: nn.Module
) -> tuple[bytes, ExportRecord]:
    """Return the final bytes and their record, after every check on those very bytes."""
    spec: ExportSpec = task.export_spec()
    exported = export_onnx(network, spec, config.export)
    real: list[Tensor] = []
    if splits is not None:
        batch, _ = _some(splits, _REAL_PROBES)
        real = [batch[row : row + 1] for row in range(len(batch))]
    parity = check_parity(exported.data, network, spec, config.export, real)
    return exported.data, record_export(exported, spec, config.export, parity)


def keep_record(record: RunRecord, run_dir: Path) -> None:
    """Write the record into the run folder."""
    write_atomic(run_dir / _RECORD_NAME, record.model_dump_json(indent=2) + "\n")


def _kept_digest(run_dir: Path) -> str | None:
    """The config digest of the record that a finished run left; a lengthened run has another."""
    try:
        return RunRecord.model_validate_json((run_dir / _RECORD_NAME).read_bytes()).config_digest
    except (OSError, ValidationError):
        return None


def _some(splits: DataSplits, count: int) -> tuple[Tensor, Tensor]:
    """The first validation samples, as validation sees them."""
    items = list(range(min(count, len(splits.val))))
    return splits.val.batch(items, [sample_stream(0, VALIDATION_EPOCH, item) for item in items])


def _page_figures(record: RunRecord, suffix: str) -> dict[str, bytes]:
    if not record.training.history:
        return {}
    svg = curves(record.training.history, record.id, form="svg")
    return {f"{record.id}{suffix}_curves.svg": svg}
