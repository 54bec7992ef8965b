"""The record of a run: every number that a card, a page or the registry may quote.

It is written once by the pipeline, lies in the run folder and inside the model's sidecar, and
is all that a renderer is given. A figure that could not be computed is null, never NaN.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from vmaf_train.environment import EnvironmentRecord, TrainingPart
from vmaf_train.record import Figure, ModelKind, Record, Sha256, decimal_text, finite_or_none

__all__ = [
    "CardText",
    "CorpusRecord",
    "DataRecord",
    "EnvironmentRecord",
    "EpochRecord",
    "Evaluation",
    "ExportRecord",
    "Figure",
    "FrameCost",
    "GateRecord",
    "InitialRecord",
    "ModelKind",
    "ParityProbe",
    "RunRecord",
    "Sha256",
    "TensorRecord",
    "TrainingPart",
    "TrainingRecord",
    "decimal_text",
    "finite_or_none",
]

RECORD_FORMAT = 1
_FLOAT = "float32 file"


class CorpusRecord(Record):
    """One set of training data as it was published and as it was used."""

    name: str
    """The set's own name."""
    citation: str = ""
    """Authors, title and venue."""
    licence: str
    """The terms as published."""
    url: str | None = None
    """Where the archive was published."""
    last_modified: str | None = None
    """Last-Modified of the archive, as its server gave it."""
    length_bytes: int | None = None
    """Length of the published archive in bytes."""
    archive_sha256: Sha256 | None = None
    """SHA-256 of the published archive."""
    published_pairs: int | None = None
    """Pairs that the authors say it holds."""
    found: int
    """Pairs or files found before any check."""
    kept: int
    """Pairs that training or validation used."""
    dropped: dict[str, int] = Field(default_factory=dict)
    """Files or pairs left out, by reason."""
    findings: dict[str, int] = Field(default_factory=dict)
    """Peculiarities that were seen and kept, by kind."""
    copy_note: str = ""
    """How the copy in use differs from the published files."""


class DataRecord(Record):
    """What the model learned from and was chosen by."""

    corpora: tuple[CorpusRecord, ...]
    train: int = Field(ge=0)
    """Samples trained on."""
    val: int = Field(ge=0)
    """Samples held out, never trained on."""
    split: str
    """How the held-out samples were chosen."""
    digest: Sha256
    """SHA-256 over the content of all samples used, in order."""
    held_out: Sha256 | None = None
    """SHA-256 over the names of the held-out samples: with ``digest`` it tells which they are."""
    held_out_twins: int | None = Field(default=None, ge=0)
    """Held-out samples whose picture is also one of the training samples'; None where not counted."""
    synthetic: bool = False
    """Whether the samples were made by a program."""


class EpochRecord(Record):
    """One pass over the training samples."""

    epoch: int = Field(ge=1)
    loss: float | None
    """Mean training loss over the epoch's steps."""
    lr: float
    """Learning rate at the epoch's last step."""
    metrics: dict[str, float | None]
    """The task's metrics over all validation samples."""
    seconds: float = Field(ge=0)
    images_per_second: float = Field(ge=0)
    """Training samples per second, validation and checkpoint left out."""


class InitialRecord(Record):
    """The earlier run whose weights a run began with, as its checkpoint tells of it."""

    id: str
    checkpoint_sha256: Sha256
    config: dict[str, Any]
    """The earlier run's recorded config."""
    data_digest: Sha256
    """Digest of the samples that it used."""
    held_out_names: Sha256 | None = None
    """Digest of the names of those that it held out; None where the checkpoint does not say."""
    data_folders: int | None = None
    """How many folders they came from; None where the checkpoint does not say."""
    epochs: int = Field(ge=1)
    """Whole epochs that it had trained."""
    best_epoch: int = Field(ge=1)
    """The epoch whose weights were taken."""
    metric: str
    value: float
    """Its primary metric at that epoch, on the samples that it held out."""
    seconds: float = Field(ge=0)
    """Wall-clock seconds of its epochs together."""
    environment: EnvironmentRecord | None = None
    parts: tuple[TrainingPart, ...] = ()
    """As for :class:`TrainingRecord`."""
    byte_reproducible: bool = False
    """As for :class:`TrainingRecord`, and that it had come to its end."""
    held_out: Literal["same", "unknown"]
    """Whether it is certain that it held out the same samples of the same data as the run whose
    record this is, and so was trained on none of them."""
    initial: InitialRecord | None = None
    """What it began with itself."""

    @property
    def chain(self) -> tuple[InitialRecord, ...]:
        """This run and those that led to it, the latest first."""
        runs = [self]
        while (earlier := runs[-1].initial) is not None:
            runs.append(earlier)
        return tuple(runs)


class TrainingRecord(Record):
    """How the weights came to be."""

    parameters: int = Field(ge=0)
    """Trainable parameters."""
    steps: int = Field(ge=0)
    """Optimiser steps taken."""
    best_epoch: int | None
    """The epoch whose weights ship: first with the highest primary metric."""
    primary_metric: str
    history: tuple[EpochRecord, ...]
    seconds: float = Field(ge=0)
    """Wall-clock seconds of all epochs together."""
    resumed_at: tuple[int, ...] = ()
    """Epochs after which the run was stopped and taken up again."""
    initial: InitialRecord | None = None
    """The run whose weights this one began with; none for random weights."""
    parts: tuple[TrainingPart, ...] = ()
    """What was trained elsewhere than the record's environment, in order; the rest was trained there."""
    byte_reproducible: bool
    """Whether the same commands on the same machine and versions give the same bytes."""

    @property
    def earlier(self) -> tuple[InitialRecord, ...]:
        """The runs that led to this one, the latest first."""
        return self.initial.chain if self.initial is not None else ()

    @property
    def held_out_certain(self) -> bool:
        """Whether no earlier run can have been trained on what this one holds out."""
        return all(run.held_out == "same" for run in self.earlier)


class GateRecord(Record):
    """The quality proof: passed only if ``value`` is a number and at least ``min_value``."""

    metric: str
    value: float | None
    min_value: float
    passed: bool
    applied: bool = True
    """False for an untrained smoke model, which has nothing to prove."""
    metrics: dict[str, float | None] = Field(default_factory=dict)
    """All metrics of the chosen weights in float32 over the validation samples."""
    intervals: dict[str, Figure] = Field(default_factory=dict)
    """The same with 95 % intervals, for those metrics that give a value per sample."""
    samples: dict[str, int] = Field(default_factory=dict)
    """How many of the samples a metric counts, where that is not all of them."""

    @property
    def shown(self) -> str:
        """The value in as many digits, four or more, as keep one that is too low below ``min_value``."""
        if self.value is None:
            return "no finite number"
        digits = 4
        while not self.passed and digits < 17 and float(f"{self.value:.{digits}f}") >= self.min_value:
            digits += 1
        return f"{self.value:.{digits}f}"


class TensorRecord(Record):
    """An input or output as read back from the file."""

    name: str
    dtype: str
    axes: tuple[int | str, ...]
    """Sizes; a text names an axis of any size."""


class ParityProbe(Record):
    """One comparison of PyTorch and ONNX Runtime on the final bytes, both on CPU in float32."""

    height: int
    width: int
    values: str
    """The kind of input values."""
    max_abs_diff: float = Field(ge=0)


class ExportRecord(Record):
    """The ONNX file as read back from its bytes."""

    sha256: Sha256
    size_bytes: int = Field(gt=0)
    opset: int
    ir_version: int
    producer: str
    ops: tuple[str, ...]
    """Sorted names of all operators in the graph."""
    nodes: int
    inputs: tuple[TensorRecord, ...] = Field(min_length=1)
    outputs: tuple[TensorRecord, ...] = Field(min_length=1)
    size_multiple: int = Field(default=1, ge=1)
    """Height and width must be multiples of this."""
    min_size: int = Field(default=1, ge=1)
    """Least height and width."""
    input_contract: dict[str, str] = Field(default_factory=dict)
    """What a frame must go through before it is fed, name to rule."""
    parity_limit: float
    parity: tuple[ParityProbe, ...] = Field(min_length=1)

    @property
    def worst_parity(self) -> float:
        """The largest difference of all probes, in output units."""
        return max(probe.max_abs_diff for probe in self.parity)


class QuantisedRecord(Record):
    """The 8-bit form of the file, measured as a file on the held-out samples."""

    sha256: Sha256
    size_bytes: int = Field(gt=0)
    method: str
    """How it was made, in a few words."""
    calibration: int = Field(gt=0)
    """Training samples that the ranges were read from."""
    ops: tuple[str, ...]
    metric: str
    samples: int = Field(gt=0)
    """Held-out samples that both forms were measured on."""
    float_value: float
    """The metric of the float file."""
    int8_value: float
    """The metric of the 8-bit file."""
    max_fall: float = Field(ge=0)
    """The most that the metric was allowed to fall."""
    milliseconds: dict[str, tuple[float, float]]
    """Median time of a frame, float and 8-bit, by HxW; the least of some rounds."""
    threads: int = Field(ge=1)


class FrameCost(Record):
    """What one frame at a time costs on a CPU, nothing else running beside it."""

    width: int = Field(gt=0)
    """Of the frames in pixels; the median where they differ."""
    height: int = Field(gt=0)
    frames: int = Field(gt=0)
    """How many runs were timed, after one that was not."""
    processor: str
    threads: int = Field(ge=0)
    """Threads of the runtime; 0 is one per processor."""
    median_seconds: float = Field(ge=0)
    p95_seconds: float | None = Field(default=None, ge=0)
    """The 95th percentile; none for a few frames."""
    peak_bytes: int | None = Field(default=None, gt=0)
    """Resident memory of a process that does only this, at its highest."""


class ThresholdCurves(Record):
    """Means over the pictures at ascending thresholds; everything is 0 to 1."""

    threshold: tuple[float, ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]
    f: tuple[float, ...]


class Evaluation(Record):
    """An external test of the shipped file, attached after the run."""

    dataset: str
    protocol: str
    """What was fed and how the result was compared, in a few words."""
    pairs: int = Field(gt=0)
    digest: Sha256
    """SHA-256 over the content of the test pairs."""
    date: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    model_sha256: Sha256
    """The file that was measured."""
    licence: str
    metrics: dict[str, Figure]
    curves: ThresholdCurves | None = None
    costs: tuple[FrameCost, ...] = ()
    notes: str = ""


class CardText(Record):
    """The prose of a card: words of the task's author, no measured numbers."""

    title: str
    summary: str
    intended_use: str
    how_to_read: str = ""
    """What the output means, in Markdown."""
    usage: str = ""
    """Copy-paste use, in Markdown."""
    validation: str = ""
    """How a held-out sample is fed and judged, in a few words."""
    limits: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    task_type: str = "other"
    """The hub's pipeline tag."""


class RunRecord(Record):
    """One run, whole."""

    format: Literal[1] = RECORD_FORMAT  # type: ignore[assignment]
    id: str
    task: str
    kind: ModelKind
    smoke: bool
    license: str
    config: dict[str, Any]
    config_digest: Sha256
    reproducer: str
    """The command that repeats the run; a line for each, where it began with the weights of another."""
    finished: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}$")
    """UTC date on which the run ended."""
    environment: EnvironmentRecord
    data: DataRecord | None
    """None for a task that needs no data."""
    training: TrainingRecord
    gate: GateRecord
    export: ExportRecord | None
    """None when the gate was not met: no file was made."""
    card: CardText
    quantised: QuantisedRecord | None = None
    """The 8-bit form, where one ships beside the file."""
    evaluations: tuple[Evaluation, ...] = ()

    @property
    def forms(self) -> dict[str, str]:
        """The files that the record is of: SHA-256 to a word for the form."""
        files = ((self.export, _FLOAT), (self.quantised, "8-bit form"))
        return {file.sha256: form for file, form in files if file is not None}

    def validated(self, metric: str) -> int:
        """Return how many held-out samples a metric of the gate counts."""
        return self.gate.samples.get(metric, self.data.val if self.data else 0)

    def test_name(self, test: Evaluation) -> str:
        """Return the name of the test's set, and the form of the file where it is not the first."""
        form = self.forms.get(test.model_sha256, "another file")
        return test.dataset if form == _FLOAT else f"{test.dataset}, {form}"
