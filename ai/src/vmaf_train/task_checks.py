"""What a task hands over, checked where it is handed over, so that a mistake in it is one line.

Without these checks it would be a traceback within torch, or worse, a number that is not what the card
says it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

from vmaf_train.errors import ConfigError, ContractError, DataError
from vmaf_train.run_record import CardText
from vmaf_train.task import DataSplits, ExportSpec, Task, TensorSpec

__all__ = [
    "checked_metrics",
    "checked_texts",
    "require_batch",
    "require_loss",
    "require_network",
    "require_sound_spec",
    "require_splits",
]

_METHODS = tuple(name for name in vars(Task) if not name.startswith("_"))


def checked_texts(task: Task) -> tuple[CardText, ExportSpec]:
    """Return the card text and export spec of a task that has all methods, and a spec of use.

    Raises:
        ConfigError: the first fault.
    """
    missing = [name for name in _METHODS if not callable(getattr(task, name, None))]
    if missing:
        raise _unsound(task, "the methods of vmaf_train.task.Task", f"no {', '.join(missing)}")
    text, spec = task.card_text(), task.export_spec()
    for name, value, kind in (("card_text", text, CardText), ("export_spec", spec, ExportSpec)):
        if not isinstance(value, kind):
            raise _unsound(task, f"{kind.__name__} from {name}", type(value).__name__)
    require_sound_spec(spec)
    return text, spec


def require_sound_spec(spec: ExportSpec) -> None:
    """Refuse an export spec that no file can meet, or that nothing can be proved of.

    Raises:
        ConfigError: the first fault.
    """
    # Each check may rely on those before it: none is made once one has failed.
    faults = chain.from_iterable(check(spec) for check in (_tensor_faults, _probe_faults, _rule_faults))
    if (fault := next(faults, None)) is not None:
        expected, found = fault
        raise ConfigError(
            "the task's export spec", expected=expected, found=found, next_step="correct export_spec"
        )


def _tensor_faults(spec: ExportSpec) -> Iterator[tuple[str, str]]:
    for side in ("input", "output"):
        tensor = getattr(spec, side)
        if not isinstance(tensor, TensorSpec) or not isinstance(tensor.name, str):
            yield f"a TensorSpec as {side}", repr(tensor)
        axes = tensor.axes
        right = isinstance(axes, tuple) and all(
            isinstance(axis, str) or (type(axis) is int and axis >= 1) for axis in axes
        )
        if not right:
            yield f"sizes of at least 1 and names of free axes as {side}.axes", repr(axes)
        free = [axis for axis in axes if isinstance(axis, str)]
        if len(set(free)) != len(free) or len(free) > 2:
            yield f"at most two free axes of different names in {side}.axes", repr(axes)
    axes = spec.input.axes
    if len(axes) != 4 or [isinstance(axis, str) for axis in axes] != [False, False, True, True]:
        yield "input.axes of the form (1, C, 'H', 'W')", repr(axes)
    if spec.input.name == spec.output.name:
        yield "two names for input and output", f"{spec.input.name!r} twice"


def _probe_faults(spec: ExportSpec) -> Iterator[tuple[str, str]]:
    for name in ("size_multiple", "min_size"):
        if type(number := getattr(spec, name)) is not int or number < 1:
            yield f"a whole number of at least 1 as {name}", repr(number)
    least, multiple = spec.min_size, spec.size_multiple
    sizes = spec.probe_sizes
    if not isinstance(sizes, tuple | list) or not sizes:
        yield "at least one (height, width) in probe_sizes", repr(sizes)
    for size in sizes:
        right = isinstance(size, tuple | list) and len(size) == 2 and all(type(side) is int for side in size)
        if not right or any(side < least or side % multiple for side in size):
            told = f"pairs of whole numbers from {least} up, multiples of {multiple}, in probe_sizes"
            yield told, repr(size)


def _rule_faults(spec: ExportSpec) -> Iterator[tuple[str, str]]:
    for name in ("shipped", "metric_input"):
        if not callable(getattr(spec, name)):
            yield f"a function as {name}", repr(getattr(spec, name))
    if spec.ops is not None and not isinstance(spec.ops, frozenset | set):
        yield "a frozenset of operators, or None, as ops", repr(spec.ops)
    span: Any = spec.output_range
    if span is not None:
        right = isinstance(span, tuple | list) and len(span) == 2
        if not right or not all(isinstance(bound, int | float) for bound in span) or not span[0] <= span[1]:
            yield "(least, greatest), or None, as output_range", repr(span)
    contract: Any = spec.input_contract
    if not isinstance(contract, Mapping) or not all(isinstance(x, str) for p in contract.items() for x in p):
        yield "names and rules, all of them texts, as input_contract", repr(contract)


def require_network(task: Task, network: object) -> None:
    """Refuse what ``build_model`` returned where it is no network.

    Raises:
        ConfigError: as said.
    """
    if not isinstance(network, nn.Module):
        raise _unsound(task, "a torch.nn.Module from build_model", type(network).__name__)


def require_splits(task: Task, splits: object) -> None:
    """Refuse data whose provenance counts other samples than there are: the card tells those counts.

    Raises:
        ConfigError: as said, or what ``load_data`` returned is no :class:`~vmaf_train.task.DataSplits`.
    """
    if not isinstance(splits, DataSplits):
        raise _unsound(task, "DataSplits from load_data", type(splits).__name__)
    told = splits.provenance.train, splits.provenance.val
    if told != (len(splits.train), len(splits.val)):
        raise _unsound(
            task,
            f"provenance of the {len(splits.train)} samples to train on and {len(splits.val)} held out",
            f"train={told[0]}, val={told[1]}",
        )


def require_batch(batch: object, count: int) -> None:
    """Refuse a batch that is not what :meth:`vmaf_train.task.Samples.batch` is to return.

    Args:
        batch: what it returned.
        count: how many samples it was asked for.

    Raises:
        DataError: as said.
    """
    found = _batch_fault(batch, count)
    if found:
        raise DataError(
            "the task's samples",
            expected=f"batch() to return (input, target), an input in float32 and {count} rows in both",
            found=found,
            next_step="correct batch(); a sample that cannot be used is to be left out before the run",
        )


def _batch_fault(batch: object, count: int) -> str:
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        return type(batch).__name__
    for name, tensor in zip(("input", "target"), batch, strict=True):
        if not isinstance(tensor, Tensor):
            return f"{type(tensor).__name__} as {name}"
        if tensor.ndim < 1 or len(tensor) != count:
            return f"{name} of shape {list(tensor.shape)}"
    return "" if batch[0].dtype == torch.float32 else f"input of {batch[0].dtype}"


def require_loss(loss: object, where: str) -> None:
    """Refuse a loss that nothing can be learned from.

    Raises:
        ContractError: it is no single number, or does not depend on the weights.
    """
    shape = list(loss.shape) if isinstance(loss, Tensor) else None
    if not isinstance(loss, Tensor) or loss.numel() != 1 or not loss.requires_grad:
        raise ContractError(
            f"{where}: the task's loss",
            expected="a tensor of one number that depends on the network's output",
            found=type(loss).__name__ if shape is None else f"shape {shape}" if shape else "no gradient",
            next_step="correct loss(); take the mean over the batch",
        )


def checked_metrics(primary: object, computed: object) -> dict[str, float]:
    """Return what a metric computed, as numbers.

    Raises:
        ContractError: it is no mapping of names to numbers, or lacks the primary one.
    """
    if isinstance(computed, Mapping) and primary in computed:
        try:
            return {str(key): float(value) for key, value in computed.items()}
        except (TypeError, ValueError, RuntimeError):
            computed = {key: type(value).__name__ for key, value in computed.items()}
    raise ContractError(
        "the task's metric",
        expected=f"compute() to return numbers by name, {primary!r} among them",
        found=str(dict(computed)) if isinstance(computed, Mapping) else type(computed).__name__,
        next_step="correct compute() or primary",
    )


def _unsound(task: Task, expected: str, found: str) -> ConfigError:
    name = f"{type(task).__module__}.{type(task).__qualname__}"
    return ConfigError(f"the task {name}", expected=expected, found=found, next_step="correct the task")
