"""One optimiser step: forward, backward, every number checked, the weights moved."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from vmaf_train.config import TaskConfig
from vmaf_train.errors import ConfigError, DivergenceError
from vmaf_train.hardware import Hardware
from vmaf_train.learner import Learner
from vmaf_train.ranks import Ranks
from vmaf_train.task import Task
from vmaf_train.task_checks import require_loss

__all__ = ["optimiser_step", "require_finite_weights"]

_COMPILERS = ("torch._dynamo", "torch._inductor")


def optimiser_step(
    task: Task,
    step_function: Callable[[Tensor], Tensor],
    learner: Learner,
    batch: Tensor,
    target: Tensor,
    config: TaskConfig,
    hardware: Hardware,
    ranks: Ranks,
    where: str,
) -> float:
    """Learn from one batch and return its loss, over all processes where ``ranks`` are several.

    Args:
        task: whose loss it is, taken in float32.
        step_function: the network, or a compiled or shared form of it.
        learner: whose weights, moments and average change.
        batch: float32 ``[N, C, H, W]``.
        target: what the loss compares the output with.
        config: the run's.
        hardware: where, and in which precision, the network computes.
        ranks: the processes of the run.
        where: epoch and step, for messages.

    Raises:
        ConfigError: an operation without a deterministic form although the config asks for one, a
            network that cannot be compiled although it asks for that, or a weight without a gradient
            that several processes would wait for.
        ContractError: the task's loss is no single number, or does not depend on the weights.
        DivergenceError: the loss or the norm of the gradient is no finite number; no weight moved.
    """
    target = target.to(hardware.device, non_blocking=True)
    try:
        with hardware.autocast():
            output = step_function(hardware.place(batch))
        loss = task.loss(output.float(), target)
        require_loss(loss, where)
        learner.optimiser.zero_grad(set_to_none=True)
        if not ranks.alone:
            # A mean over this process's part; gradients are averaged over the processes, so that
            # parts of different sizes weigh as their samples do in the one mean over the batch.
            loss = loss * (len(batch) * ranks.size / config.fit.batch_size)
        loss.backward()  # type: ignore[no-untyped-call]
        if not ranks.alone:
            loss = ranks.sum(loss.detach()) / ranks.size
    except RuntimeError as error:
        if type(error).__module__.startswith(_COMPILERS):
            raise ConfigError(
                "fit.compile",
                expected="a network that torch.compile can build here",
                found=" ".join(str(error).split("\n\n")[0].split()),
                next_step="install a C++ compiler (vmaf-train doctor looks for it), or set fit.compile=false",
            ) from error
        if "deterministic" not in str(error):
            raise
        raise ConfigError(
            "fit.deterministic",
            expected=f"operations with a deterministic form on {hardware.device}",
            found=str(error).split(".")[0],
            next_step="set fit.deterministic=false, or train on the CPU",
        ) from error
    if not ranks.alone:
        _require_gradients(learner.network, where)
    weights = list(learner.network.parameters())
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    for name, number in (("loss", loss), ("gradient norm", norm)):
        if not bool(torch.isfinite(number)):
            raise DivergenceError(
                where,
                expected=f"a finite {name}",
                found=str(float(number.detach())),
                next_step="lower optimiser.lr; the last good checkpoint is kept",
            )
    if config.fit.gradient_clip:
        torch.nn.utils.clip_grads_with_norm_(weights, config.fit.gradient_clip, norm)
    learner.optimiser.step()
    if learner.average is not None:
        learner.average.update_parameters(learner.network)
    return float(loss.detach())


def require_finite_weights(network: nn.Module, where: str) -> None:
    """Refuse weights and buffers that are no finite numbers.

    Raises:
        DivergenceError: there is one; the message names the tensor and ``where``.
    """
    for name, tensor in network.state_dict().items():
        if not bool(torch.isfinite(tensor).all()):
            raise DivergenceError(
                where,
                expected="finite weights",
                found=f"NaN or infinity in {name}",
                next_step="lower optimiser.lr; the last good checkpoint is kept",
            )


def _require_gradients(network: nn.Module, where: str) -> None:
    """Refuse what several processes would wait for in vain: without it other gradients go unshared too."""
    weights = network.named_parameters()
    idle = [name for name, weight in weights if weight.requires_grad and weight.grad is None]
    if idle:
        raise ConfigError(
            where,
            expected="a gradient for every trainable weight, as several processes need it",
            found=f"none for {', '.join(idle[:3])}{' and others' if len(idle) > 3 else ''}",
            next_step="let the loss depend on it, set its requires_grad to False, or train in one process",
        )
