"""Milliseconds of layers of few channels in training, PyTorch's own against ours, in one run.

Each case is a batch of 32 in channels_last memory, as the U-Net has it at 256x256; the two take
turns and the least time counts. Prints the ratios; asserts nothing.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from vmaf_train.hardware import keep_freed_memory
from vmaf_train.narrow_concat import joined_channels
from vmaf_train.narrow_norm import folded_norms

Step = Callable[[], None]
BATCH = 32


def image(channels: int, size: int, dtype: torch.dtype) -> Tensor:
    """Return random pixels whose gradient is asked for."""
    pixels = torch.randn(BATCH, channels, size, size).to(dtype, memory_format=torch.channels_last)
    return pixels.requires_grad_()


def norm_steps(channels: int, size: int, dtype: torch.dtype) -> tuple[Step, Step]:
    """Forward and backward through a batch normalisation: PyTorch's, ours."""
    plain = nn.BatchNorm2d(channels)
    folded = copy.deepcopy(plain)
    folded_norms(folded)
    pixels = image(channels, size, dtype)
    gradient = torch.randn_like(pixels)

    def step(norm: nn.Module) -> None:
        torch.autograd.grad(norm(pixels), (pixels, *norm.parameters()), gradient)

    return (lambda: step(plain)), (lambda: step(folded))


def join_steps(channels: int, size: int, dtype: torch.dtype) -> tuple[Step, Step]:
    """Forward and backward through a skip connection of ``channels``, joined to half as many."""
    below, skip = image(channels // 2, size, dtype), image(channels, size, dtype)

    def step(join: Callable[[Tensor, Tensor], Tensor]) -> None:
        outputs = join(below, skip), max_pool2d(skip, 2)
        torch.autograd.grad(outputs, (below, skip), [output.detach() for output in outputs])

    return (lambda: step(lambda *parts: torch.cat(parts, dim=1))), (lambda: step(joined_channels))


def least_times(steps: tuple[Step, Step], rounds: int) -> list[float]:
    """Seconds of each step, in turns after one that does not count."""
    best = [float("inf")] * len(steps)
    for turn in range(rounds + 1):
        for index, step in enumerate(steps):
            began = time.perf_counter()
            step()
            if turn:
                best[index] = min(best[index], time.perf_counter() - began)
    return best


def main() -> None:
    """Time every case and print a row of each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    keep_freed_memory()
    print(f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}, batch {BATCH}")
    print(f"{'layer':34} {'PyTorch':>10} {'ours':>10}   ratio")
    for dtype in (torch.float32, torch.bfloat16):
        cases = [(f"norm of {count}", norm_steps, count) for count in (3, 8, 12)]
        cases += [(f"concatenation of {count // 2} and {count}", join_steps, count) for count in (8, 16)]
        for name, make, channels in cases:
            plain, ours = least_times(make(channels, 256, dtype), rounds)
            label = f"{name}, {str(dtype).removeprefix('torch.')}"
            print(f"{label:34} {1e3 * plain:7.1f} ms {1e3 * ours:7.1f} ms   {plain / ours:.1f}x")


if __name__ == "__main__":
    main()
