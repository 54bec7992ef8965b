"""What a task is: a few plain functions behind two protocols, found through an entry point.

A task says what to learn from, what to learn and how to judge it. Seeding, the loop, device,
precision, checkpoints, the gate, export, parity, the op check, digests, the registry and the
card belong to the framework.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, runtime_checkable

from vmaf_train.config import TaskConfig
from vmaf_train.record import ModelKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    # Not loaded by a command line that only names tasks.
    from vmaf_train.run_record import CardText, DataRecord

__all__ = [
    "API_VERSION",
    "BatchStreams",
    "DataSplits",
    "ExportSpec",
    "MergingMetric",
    "Metric",
    "Panels",
    "Samples",
    "StageProgress",
    "Task",
    "TaskPlugin",
    "TensorSpec",
    "data_folders",
]

API_VERSION = 1
"""Version of the protocols in this module; a plugin states the one it was written for."""

BatchStreams = Sequence["np.random.Generator"]
"""One random generator per sample of a batch, a function of (seed, epoch, sample) alone."""

Panels = Sequence[Sequence["NDArray[np.uint8]"]]
"""Rows of pictures uint8 ``[H, W, 3]`` for the contact sheet."""

StageProgress = Callable[[str, int, int], None]
"""Told the name of a step, how much of it is done, and how much there is."""

ConfigT = TypeVar("ConfigT", bound=TaskConfig)


class Samples(Protocol):
    """A fixed, ordered set of samples that can be drawn in batches, in any process."""

    def __len__(self) -> int:
        """Return the number of samples."""
        ...

    def batch(self, items: Sequence[int], streams: BatchStreams) -> tuple[Tensor, Tensor]:
        """Return ``(input, target)`` for the samples ``items``, first axis ``len(items)``.

        Every random choice about ``items[k]`` is drawn from ``streams[k]`` and from nothing
        else; then the result is the same for any number of worker processes.
        """
        ...


@dataclass(frozen=True)
class DataSplits:
    """Samples to train on, samples held out, and where they come from.

    Attributes:
        train: to train on.
        val: held out.
        provenance: what the record and the card say of both.
        left_out: a line for each faulty file, with its name and the reason; the run says the first
            few and keeps all in its folder, and publishes none.
    """

    train: Samples
    val: Samples
    provenance: DataRecord
    left_out: tuple[str, ...] = ()


class Metric(Protocol):
    """An accumulator over all validation samples of an epoch, each counted exactly once."""

    @property
    def primary(self) -> str:
        """The key of :meth:`compute` that picks the best epoch; higher is better."""
        ...

    def update(self, output: Tensor, target: Tensor) -> None:
        """Add a batch: the model's ``output`` in float32, and its ``target``."""
        ...

    def compute(self) -> Mapping[str, float]:
        """Return the metrics over everything added; NaN where there is nothing to measure."""
        ...


class MergingMetric(Metric, Protocol):
    """A metric that can also be measured by several processes; needed for those runs alone."""

    def merge(self, other: Any) -> None:
        """Add all that ``other``, an accumulator of the same kind, has seen, after what this one has."""
        ...


@runtime_checkable
class SampledMetric(Metric, Protocol):
    """A metric whose keys are means over samples; the card then shows them with intervals."""

    def per_sample(self) -> Mapping[str, Sequence[float]]:
        """Return, for keys of :meth:`compute`, the value of each sample; NaN where it has none."""
        ...


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of the ONNX file: float32, ``axes`` sizes, or names of free axes."""

    name: str
    axes: tuple[int | str, ...]


@dataclass(frozen=True)
class ExportSpec:
    """What the ONNX file must be; the framework reads the bytes back and compares.

    Attributes:
        input: its only input, an image-like ``[1, C, H, W]`` with free H and W.
        output: its only output.
        probe_sizes: (H, W) at which parity is proved; include non-square ones.
        shipped: wraps the trained network into what ships (for instance adds a sigmoid).
        ops: operators that the graph may hold, a closed set; None allows the whole op list.
        output_range: least and largest value that the output may take.
        size_multiple: H and W must be multiples of this.
        min_size: least H and W.
        input_contract: what the reader must do to a frame before feeding it, name to rule.
        metric_input: turns the file's output into what the task's metric takes, for instance a
            probability back into a logit; so that a file can be measured as a network is.
    """

    input: TensorSpec
    output: TensorSpec
    probe_sizes: tuple[tuple[int, int], ...]
    shipped: Callable[[nn.Module], nn.Module] = lambda network: network
    ops: frozenset[str] | None = None
    output_range: tuple[float, float] | None = None
    size_multiple: int = 1
    min_size: int = 1
    input_contract: Mapping[str, str] = field(default_factory=dict)
    metric_input: Callable[[Tensor], Tensor] = lambda output: output


class Task(Protocol):
    """What a plugin's ``create`` returns for one config."""

    def load_data(self, progress: StageProgress) -> DataSplits:
        """Return the samples. Called once, before training; not called for 0 epochs.

        ``progress(stage, done, total)`` may be told how far a long step is.

        Raises:
            DataError, ConfigError: there is nothing to train on.
        """
        ...

    def build_model(self) -> nn.Module:
        """Return the network with fresh weights, drawn from torch's global generator."""
        ...

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the scalar float32 loss, a mean over the batch; ``output`` is float32."""
        ...

    def metric(self) -> Metric:
        """Return a fresh accumulator."""
        ...

    def export_spec(self) -> ExportSpec:
        """Return what the ONNX file must be."""
        ...

    def card_text(self) -> CardText:
        """Return the card's prose; it states no measured number."""
        ...

    def preview(self, batch: Tensor, output: Tensor, target: Tensor) -> Panels:
        """Return pictures of some samples for the contact sheet; empty for none."""
        ...


@dataclass(frozen=True)
class TaskPlugin(Generic[ConfigT]):
    """What an entry point of the group ``vmaf_train.tasks`` names.

    Attributes:
        name: the task's name, the same as the entry point's.
        summary: one line for ``vmaf-train tasks``.
        config_type: the pydantic type of its config.
        create: makes the task from a resolved config; may import torch, the module may not.
        kind: the runtime's kind of the model: fr (full reference), nr (no reference), filter.
        license: licence of the weights, as the registry states it.
        config_file: the config used when none is named; empty takes the defaults.
        demo_config_file: the config used when neither a config nor data is named.
        api_version: the :data:`API_VERSION` that the plugin was written for.
    """

    name: str
    summary: str
    config_type: type[ConfigT]
    create: Callable[[ConfigT], Task]
    kind: ModelKind = "nr"
    license: str = "BSD-3-Clause-Plus-Patent"
    config_file: str = ""
    demo_config_file: str = ""
    api_version: int = API_VERSION


def data_folders(config: TaskConfig) -> tuple[Path, ...]:
    """Return ``data.root`` and ``data.extra_roots``, where a task's config has and names them."""
    data = getattr(config, "data", None)
    folders = (getattr(data, "root", None), *getattr(data, "extra_roots", ()))
    return tuple(folder for folder in folders if isinstance(folder, Path))
