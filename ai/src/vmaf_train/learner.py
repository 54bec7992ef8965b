"""What learns: the network as hardware and processes want it, its optimiser and its moving average."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from vmaf_train.config import OptimiserConfig, TaskConfig
from vmaf_train.hardware import Hardware, keep_freed_memory
from vmaf_train.narrow_norm import folded_norms, unfolded_norms
from vmaf_train.ranks import Ranks
from vmaf_train.synced_norm import plain_norms, synced_norms

__all__ = ["Learner", "best_network", "make_learner", "trainable_parameters"]


@dataclass(frozen=True)
class Learner:
    """What an optimiser step changes."""

    network: nn.Module
    optimiser: torch.optim.Optimizer
    average: AveragedModel | None

    @property
    def chosen(self) -> nn.Module:
        """What is judged and shipped: the average where one is kept, else the network."""
        return self.network if self.average is None else self.average.module


def trainable_parameters(network: nn.Module) -> int:
    """Return the number of weights that training changes."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)


def make_learner(network: nn.Module, config: TaskConfig, hardware: Hardware, ranks: Ranks) -> Learner:
    """Return ``network``, moved and changed in place as hardware and processes want it, ready to learn."""
    if not ranks.alone:
        synced_norms(network)
    if hardware.device == "cpu":
        keep_freed_memory()
        # A compiled network has its own; processes that share a run have synced ones.
        if hardware.channels_last and ranks.alone and not config.fit.compile:
            folded_norms(network)
    network = network.to(hardware.device)
    if hardware.channels_last:
        # torch's signature lacks the memory_format form.
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = None
    if config.fit.ema_decay:
        multi_avg = get_ema_multi_avg_fn(config.fit.ema_decay)  # type: ignore[no-untyped-call]
        average = AveragedModel(network, multi_avg_fn=multi_avg, use_buffers=True)
    return Learner(network, _optimiser(config.optimiser, network), average)


def best_network(network: nn.Module, weights: Mapping[str, Tensor]) -> nn.Module:
    """Return a copy on the CPU in eval mode with ``weights``, and with none of what made training faster."""
    best = copy.deepcopy(network).to("cpu")
    best.load_state_dict(weights)
    plain_norms(best)
    unfolded_norms(best)
    return best.eval()


def _optimiser(config: OptimiserConfig, network: nn.Module) -> torch.optim.Optimizer:
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.name]
    optimiser: torch.optim.Optimizer = kind(
        network.parameters(), lr=config.lr, weight_decay=config.weight_decay
    )
    return optimiser
