"""A task author's mistake is one line that names it, before training wherever it can be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from test_pipeline import run_toy
from toy import TOY_SPEC, Agreement, ToyConfig, ToyNet, ToySamples, ToyTask, toy_plugin
from vmaf_train.errors import ConfigError, ContractError, DataError, VmafTrainError
from vmaf_train.run_record import CardText
from vmaf_train.task import ExportSpec, TaskPlugin, TensorSpec
from vmaf_train.task_checks import require_sound_spec

SPEC_FAULTS: dict[str, dict[str, Any]] = {
    "at most two free axes of different names in input.axes": {
        "input": TensorSpec("input", (1, 3, "H", "H"))
    },
    r"input.axes of the form \(1, C, 'H', 'W'\)": {"input": TensorSpec("input", (1, 3, "H", 20))},
    "sizes of at least 1 and names of free axes as output.axes": {"output": TensorSpec("map", (1, 0))},
    "a TensorSpec as output": {"output": "map"},
    "two names for input and output": {"output": TensorSpec("input", (1, 1, "H", "W"))},
    r"at least one \(height, width\) in probe_sizes": {"probe_sizes": ()},
    "pairs of whole numbers from 1 up": {"probe_sizes": (17, 40)},
    "pairs of whole numbers from 1 up, multiples of 1, in probe_sizes": {"probe_sizes": ((0, 4),)},
    "multiples of 8, in probe_sizes": {"probe_sizes": ((8, 12),), "size_multiple": 8},
    "a whole number of at least 1 as size_multiple": {"size_multiple": 0},
    "a whole number of at least 1 as min_size": {"min_size": 1.5},
    "a function as shipped": {"shipped": None},
    "a function as metric_input": {"metric_input": 3},
    "a frozenset of operators, or None, as ops": {"ops": ["Conv"]},
    r"\(least, greatest\), or None, as output_range": {"output_range": 1.0},
    r"\(least, greatest\), or None, as output_range, found \(1.0, 0.0\)": {"output_range": (1.0, 0.0)},
    "names and rules, all of them texts, as input_contract": {"input_contract": {"scale": 3}},
}


@pytest.mark.parametrize(("said", "change"), SPEC_FAULTS.items(), ids=[*map(str, range(len(SPEC_FAULTS)))])
def test_an_export_spec_that_no_file_can_meet_is_refused_by_name(said: str, change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"the task's export spec: expected .*{said}"):
        require_sound_spec(replace(TOY_SPEC, **change))
    require_sound_spec(TOY_SPEC)


class Wrong:
    """Parts of a toy task that break one rule each."""

    @dataclass
    class Spec(ToyTask):
        def export_spec(self) -> ExportSpec:
            return None  # type: ignore[return-value]

    @dataclass
    class Text(ToyTask):
        def card_text(self) -> CardText:
            return {"title": "x"}  # type: ignore[return-value]

    @dataclass
    class Nul(ToyTask):
        def card_text(self) -> CardText:
            return CardText(title="a\0b", summary="x", intended_use="x")

    @dataclass
    class NoPreview(ToyTask):
        preview = None  # type: ignore[assignment]

    @dataclass
    class Counts(ToyTask):
        def load_data(self, progress: Any) -> Any:
            splits = super().load_data(progress)
            provenance = splits.provenance.model_copy(update={"val": 99_999})
            return replace(splits, provenance=provenance)

    @dataclass
    class Tuple(ToyTask):
        def load_data(self, progress: Any) -> Any:
            return self.train, self.val

    @dataclass
    class VectorLoss(ToyTask):
        def loss(self, output: Tensor, target: Tensor) -> Tensor:
            return (output - target).square().mean((1, 2, 3))

    @dataclass
    class DetachedLoss(ToyTask):
        def loss(self, output: Tensor, target: Tensor) -> Tensor:
            return super().loss(output, target).detach()

    @dataclass
    class FloatLoss(ToyTask):
        def loss(self, output: Tensor, target: Tensor) -> Tensor:
            return 0.5  # type: ignore[return-value]

    @dataclass
    class Unnamed(ToyTask):
        def metric(self) -> Agreement:
            class Metric(Agreement):
                def compute(self) -> dict[str, float]:
                    return {"other": 1.0}

            return Metric()

    @dataclass
    class Numberless(ToyTask):
        def metric(self) -> Agreement:
            class Metric(Agreement):
                def compute(self) -> Any:
                    return {"agreement": np.zeros(3)}

            return Metric()

    @dataclass
    class OtherMean(ToyTask):
        def metric(self) -> Agreement:
            class Metric(Agreement):
                def per_sample(self) -> dict[str, list[float]]:
                    return {"agreement": [0.95] * 5}

                def compute(self) -> dict[str, float]:
                    return {"agreement": 0.7}

            return Metric()


@pytest.mark.parametrize(
    ("kind", "error", "said"),
    [
        (Wrong.Spec, ConfigError, "expected ExportSpec from export_spec, found NoneType"),
        (Wrong.Text, ConfigError, "expected CardText from card_text, found dict"),
        (Wrong.NoPreview, ConfigError, "found no preview"),
        (Wrong.Counts, ConfigError, "12 samples to train on and 5 held out, found train=12, val=99999"),
        (Wrong.Tuple, ConfigError, "expected DataSplits from load_data, found tuple"),
        (Wrong.VectorLoss, ContractError, r"epoch 1 step 1: the task's loss: .*found shape \[4\]"),
        (Wrong.DetachedLoss, ContractError, "the task's loss: .*found no gradient"),
        (Wrong.FloatLoss, ContractError, "the task's loss: .*found float"),
        (Wrong.Unnamed, ContractError, "numbers by name, 'agreement' among them, found {'other': 1.0}"),
        (Wrong.Numberless, ContractError, "found {'agreement': 'ndarray'}"),
        (Wrong.OtherMean, ContractError, "the 5 samples whose mean is 0.7, found .* mean 0.95"),
    ],
)
def test_what_a_task_hands_over_wrong_is_one_line_and_nothing_is_published(
    tmp_path: Path, kind: Callable[[Any], ToyTask], error: type[VmafTrainError], said: str
) -> None:
    plugin: TaskPlugin[ToyConfig] = replace(toy_plugin(), create=kind)
    with pytest.raises(error, match=said) as told:
        run_toy(tmp_path, plugin=plugin)
    assert "\n" not in str(told.value)
    assert not (tmp_path / "models" / "registry.json").exists()


def test_a_text_that_the_loader_does_not_take_stops_where_it_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"the registry row of toy_v1: .*a NUL in title"):
        run_toy(tmp_path, plugin=replace(toy_plugin(), create=Wrong.Nul))
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda x, y: (x[:1], y[:1]), r"input of shape \[1, 3, 16, 16\]"),
        (lambda x, y: (x, y[:1]), r"target of shape \[1, 1, 16, 16\]"),
        (lambda x, y: (x.double(), y), r"input of torch.float64"),
        (lambda x, y: (x.numpy(), y), "ndarray as input"),
        (lambda x, y: x, "Tensor"),
        (lambda x, y: None, "NoneType"),
    ],
)
@pytest.mark.parametrize("part", ["train", "val"])
def test_a_batch_of_another_form_stops_the_run(
    tmp_path: Path, change: Callable[[Tensor, Tensor], Any], found: str, part: str
) -> None:
    samples = Changed(12, change=change)
    with pytest.raises(DataError, match=f"the task's samples: .*found {found}"):
        run_toy(tmp_path, plugin=toy_plugin(**{part: samples}))


class Changed(ToySamples):
    """Toy samples whose batches are changed on their way out."""

    def __init__(self, count: int, *, change: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__(count)
        self.change = change

    def batch(self, items: Any, streams: Any) -> Any:
        return self.change(*super().batch(items, streams))


def test_a_network_that_is_none_is_refused_and_one_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected a torch\.nn\.Module from build_model, found NoneType"):
        run_toy(tmp_path, plugin=toy_plugin(network=lambda: None))

    class Failing(ToyNet):
        def forward(self, image: Tensor) -> Tensor:
            raise ValueError("expected 4 channels, as all know")

    with pytest.raises(ContractError, match="found ValueError: expected 4 channels, as all know") as told:
        run_toy(tmp_path, plugin=toy_plugin(network=Failing))
    assert "\x1b" not in str(told.value)


def test_a_preview_that_fails_costs_a_picture_and_not_the_run(tmp_path: Path) -> None:
    class Blind(ToyTask):
        def preview(self, batch: Tensor, output: Tensor, target: Tensor) -> Any:
            return [(np.zeros((2, 2), np.uint8),)]

    record = run_toy(tmp_path, plugin=replace(toy_plugin(), create=Blind))
    assert record.gate.passed
    assert (tmp_path / "models" / "toy_v1.onnx").is_file()
    assert not (tmp_path / "run1" / "contact_sheet.png").exists()


def test_a_frozen_network_has_nothing_to_learn(tmp_path: Path) -> None:
    def frozen() -> nn.Module:
        return ToyNet().requires_grad_(requires_grad=False)

    with pytest.raises(VmafTrainError):
        run_toy(tmp_path, plugin=toy_plugin(network=frozen))
    assert torch.is_grad_enabled()
