"""A task so small that a whole run takes a moment: brightness of an 8x8 picture."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vmaf_train.checkpoint import load_checkpoint
from vmaf_train.config import ExportConfig, FitConfig, GateConfig, OptimiserConfig, TaskConfig
from vmaf_train.config_files import load_config
from vmaf_train.fit import FitResult, fit
from vmaf_train.hardware import choose_hardware, reproducible_arithmetic
from vmaf_train.interruption import StopRequest
from vmaf_train.report import SilentReporter
from vmaf_train.run_record import CardText, CorpusRecord, DataRecord
from vmaf_train.task import (
    BatchStreams,
    DataSplits,
    ExportSpec,
    Panels,
    StageProgress,
    TaskPlugin,
    TensorSpec,
)

SIDE = 16


class ToyConfig(TaskConfig):
    """Defaults that train in well under a second."""

    id: str = "toy_v1"
    fit: FitConfig = FitConfig(epochs=2, batch_size=4, seed=1, threads=1)
    optimiser: OptimiserConfig = OptimiserConfig(lr=0.05)
    gate: GateConfig = GateConfig(min_value=0.3)
    export: ExportConfig = ExportConfig()


@dataclass(frozen=True)
class ToySamples:
    """Random pictures whose truth is where they are bright; draws noise from the streams."""

    count: int
    seed: int = 0
    noise: float = 0.1

    def __len__(self) -> int:
        return self.count

    def batch(self, items: Sequence[int], streams: BatchStreams) -> tuple[Tensor, Tensor]:
        pictures, truths = [], []
        for item, stream in zip(items, streams, strict=True):
            picture = np.random.default_rng((self.seed, item)).random((3, SIDE, SIDE), np.float32)
            pictures.append(picture + self.noise * stream.random((3, SIDE, SIDE), np.float32))
            truths.append((picture.mean(0, keepdims=True) > 0.5).astype(np.float32))
        return torch.from_numpy(np.stack(pictures)), torch.from_numpy(np.stack(truths))


class Agreement:
    """Share of pixels on the right side of 0."""

    primary = "agreement"

    def __init__(self) -> None:
        self.right = self.seen = 0.0

    def update(self, output: Tensor, target: Tensor) -> None:
        self.right += float(((output > 0) == (target > 0.5)).sum())
        self.seen += target.numel()

    def merge(self, other: Agreement) -> None:
        self.right += other.right
        self.seen += other.seen

    def compute(self) -> dict[str, float]:
        return {"agreement": self.right / self.seen if self.seen else float("nan")}


class ToyNet(nn.Module):
    """Convolution, BatchNorm, dropout: whatever a resumed run must get right."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.1)
        self.last = nn.Conv2d(4, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        features = functional.relu(self.norm(self.first(image)))
        logits: Tensor = self.last(self.drop(features))
        return logits


class Sigmoid(nn.Module):
    """What ships."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return torch.sigmoid(self.network(image))


TOY_SPEC = ExportSpec(
    input=TensorSpec("input", (1, 3, "H", "W")),
    output=TensorSpec("map", (1, 1, "H", "W")),
    probe_sizes=((1, 1), (5, 9), (16, 24)),
    shipped=Sigmoid,
    ops=frozenset({"Conv", "Relu", "Sigmoid"}),
    output_range=(0.0, 1.0),
)


@dataclass
class ToyTask:
    """The toy task; a test may replace its parts."""

    config: TaskConfig
    train: Any = field(default_factory=lambda: ToySamples(12))
    val: Any = field(default_factory=lambda: ToySamples(5, seed=1, noise=0.0))
    network: Callable[[], nn.Module] = ToyNet
    spec: ExportSpec = TOY_SPEC
    digest: str = "0" * 64
    held_out: str | None = None

    def load_data(self, progress: StageProgress) -> DataSplits:
        progress("draw", 1, 1)
        corpus = CorpusRecord(
            name="toy pictures", licence="made by a test", found=17, kept=len(self.train) + len(self.val)
        )
        provenance = DataRecord(
            corpora=(corpus,),
            train=len(self.train),
            val=len(self.val),
            split="fixed",
            digest=self.digest,
            held_out=self.held_out,
            synthetic=True,
        )
        return DataSplits(self.train, self.val, provenance)

    def build_model(self) -> nn.Module:
        return self.network()

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(output, target)

    def metric(self) -> Agreement:
        return Agreement()

    def export_spec(self) -> ExportSpec:
        return self.spec

    def card_text(self) -> CardText:
        return CardText(
            title=f"{self.config.id}: a toy", summary="Brightness.", intended_use="Tests.", tags=("toy",)
        )

    def preview(self, batch: Tensor, output: Tensor, target: Tensor) -> Panels:
        shade = (torch.sigmoid(output[:, 0]) * 255).to(torch.uint8).numpy()
        return [(np.repeat(plane[..., None], 3, axis=2),) for plane in shade]


def toy_plugin(**parts: Any) -> TaskPlugin[ToyConfig]:
    """The toy's plugin, with parts of its task replaced."""
    return TaskPlugin(
        name="toy",
        summary="Brightness of a picture",
        config_type=ToyConfig,
        create=lambda config: ToyTask(config, **parts),
    )


class Told(SilentReporter):
    """Keeps what it was told of stages."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def stage(self, text: str) -> None:
        self.lines.append(text)


class SignalAt(SilentReporter):
    """Sends this process a signal while a step of the run is under way."""

    def __init__(self, step: int, number: signal.Signals) -> None:
        self.left, self.number = step, number

    def step(self, epoch: int, loss: float) -> None:
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(self.number)


def with_identity(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what a checkpoint tells of its run."""
    state = load_checkpoint(path)
    identity = json.loads(state["identity"])
    change(identity)
    torch.save(state | {"identity": json.dumps(identity)}, path)


def fit_toy(
    run_dir: Path,
    *changes: str,
    task: ToyTask | None = None,
    resume: bool = False,
    seed: int = 1,
    say: SilentReporter | None = None,
    stop: StopRequest | None = None,
) -> FitResult:
    """Fit the toy, or ``task``, as the pipeline does."""
    config = load_config(ToyConfig, None, (f"fit.seed={seed}", *changes))
    task = task or ToyTask(config)
    hardware = choose_hardware(config.fit)
    with reproducible_arithmetic(hardware, deterministic=True):
        torch.manual_seed(config.fit.seed)
        splits = task.load_data(lambda *_: None)
        reporter = say or SilentReporter()
        return fit(
            task, config, splits, task.build_model(), hardware, run_dir, reporter, resume=resume, stop=stop
        )


def weights(result: FitResult) -> dict[str, bytes]:
    """The bytes of every tensor of the network."""
    return {name: tensor.numpy().tobytes() for name, tensor in result.network.state_dict().items()}


def metrics(result: FitResult) -> list[tuple[float | None, dict[str, float | None]]]:
    """Loss and metrics of each epoch."""
    return [(record.loss, record.metrics) for record in result.record.history]
