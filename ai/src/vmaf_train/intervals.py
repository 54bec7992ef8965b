"""How far a figure would move with other pictures: a seeded bootstrap over images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from vmaf_train.run_record import Figure

__all__ = ["DRAWS", "SEED", "differences", "figures"]

DRAWS = 1000
"""How many sets of pictures are drawn, with replacement, each as large as the set."""
SEED = 42
_CHUNK = 100

Samples = NDArray[np.float64]
"""Values ``[pictures, K]``. The statistic is the largest of the K means over the pictures; for K = 1
it is the mean, over those pictures that have a number."""


def figures(samples: Mapping[str, Samples]) -> dict[str, Figure]:
    """Return each statistic with its 95 % interval (percentiles 2.5 and 97.5 of the draws).

    A number of a single picture has no interval. A measure that no picture has a number for is left out.
    """
    usable = {name: values for name, values in samples.items() if not np.isnan(values).all()}
    drawn = _drawn(usable)
    return {name: _figure(_whole(values), drawn[name], _known(values)) for name, values in usable.items()}


def differences(samples: Mapping[str, Samples], base: Mapping[str, Samples]) -> dict[str, Figure]:
    """Return how much each statistic of ``samples`` exceeds that of ``base``, with its interval.

    Both hold the same pictures in the same order; each draw takes the same ones from both. A picture
    counts where both have a number for it: else a model would gain by having none on the hard ones.
    """
    ours, theirs = {}, {}
    for name in samples.keys() & base.keys():
        known = ~(np.isnan(samples[name]) | np.isnan(base[name]))
        if known.any():
            ours[name], theirs[name] = (np.where(known, side[name], np.nan) for side in (samples, base))
    drawn, base_drawn = _drawn(ours), _drawn(theirs)
    return {
        name: _figure(
            _whole(ours[name]) - _whole(theirs[name]), drawn[name] - base_drawn[name], _known(ours[name])
        )
        for name in samples
        if name in ours
    }


def _known(values: Samples) -> int:
    """Return how many pictures have a number."""
    return int((~np.isnan(values)).any(axis=1).sum())


def _whole(values: Samples) -> float:
    return float(_statistic(values, np.ones((1, len(values))))[0])


def _statistic(values: Samples, weights: Samples) -> Samples:
    """Return ``[draws]`` for weights ``[draws, pictures]``; NaN for a draw without any number."""
    known = ~np.isnan(values)
    if known.all():
        means = weights @ values / weights.sum(axis=1, keepdims=True)
    else:
        counted = weights @ known.astype(np.float64)
        means = np.full(counted.shape, np.nan)
        np.divide(weights @ np.where(known, values, 0.0), counted, out=means, where=counted > 0)
    largest: Samples = means.max(axis=1)
    return largest


def _drawn(samples: Mapping[str, Samples]) -> dict[str, Samples]:
    count = len(next(iter(samples.values()), ()))
    found: dict[str, list[Samples]] = {name: [] for name in samples}
    for weights in _weights(count) if count else ():
        for name, values in samples.items():
            found[name].append(_statistic(values, weights))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _weights(count: int) -> Iterator[Samples]:
    """Yield how often each picture is drawn, ``[_CHUNK, count]`` at a time; the same each time."""
    random = np.random.default_rng(SEED)
    for _ in range(DRAWS // _CHUNK):
        yield random.multinomial(count, np.full(count, 1 / count), size=_CHUNK).astype(np.float64)


def _figure(value: float, drawn: Samples, count: int) -> Figure:
    drawn = drawn[~np.isnan(drawn)]
    if count < 2 or not len(drawn):
        return Figure(value=value)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Figure(value=value, low=float(low), high=float(high))
