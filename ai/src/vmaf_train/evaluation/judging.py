"""The pass over the pairs: decode, feed, compare, keep the figures."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vmaf_train.errors import ContractError
from vmaf_train.evaluation.blocks import BlockMeasures, measure_blocks
from vmaf_train.evaluation.feed import Feed
from vmaf_train.evaluation.measures import PairMeasures, load_measures, measure
from vmaf_train.evaluation.scores import Column
from vmaf_train.frames import rgb_to_tensor
from vmaf_train.onnx_session import MapModel
from vmaf_train.pairs import MASK_THRESHOLD, Pair, decode_image, decode_mask

__all__ = ["judge", "native_map", "truth_of"]

_Found = tuple[PairMeasures, BlockMeasures | None]


def judge(
    models: Sequence[MapModel],
    pairs: Sequence[Pair],
    feeds: Sequence[Feed],
    *,
    block: int | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Column]:
    """Run every model on every picture in every way, and measure each map at its mask's size.

    Args:
        models: one or more.
        pairs: one or more that ``inspect_pairs`` kept.
        feeds: one or more ways of feeding.
        block: side of blocks, in pixels of the fed frame, to measure as well.
        workers: pictures at a time; default one per processor. The result does not depend on it.
        progress: called with pictures done and pictures in all, from the calling thread.

    Returns:
        one column for each model and way, models outermost.

    Raises:
        ConfigError: PySODMetrics is not installed.
        ContractError: a model fails on a picture, which is named, or its map is no map.
        DataError: a file can no longer be decoded.
    """
    load_measures()
    columns = [
        Column(model, feed, label, len(pairs), block)
        for (model, feed), label in zip(
            [(model, feed) for model in models for feed in feeds], _labels(models, feeds), strict=True
        )
    ]
    # Threads suffice: decoding, the runtime and most of the measures release the interpreter lock.
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        for i, row in enumerate(pool.map(lambda pair: _row(pair, models, feeds, block), pairs)):
            for column, (found, blocks) in zip(columns, row, strict=True):
                column.put(i, found, blocks)
            if progress is not None:
                progress(i + 1, len(pairs))
    return columns


def truth_of(pair: Pair) -> NDArray[np.bool_]:
    """Return a pair's truth, bool ``[H, W]``."""
    return decode_mask(pair.mask) > MASK_THRESHOLD


def native_map(model: MapModel, feed: Feed, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return a model's map ``[H, W]`` of a picture uint8 ``[H, W, 3]``, brought back to its size."""
    return feed.native(model.run(rgb_to_tensor(feed.frame(rgb)))[0, 0], *rgb.shape[:2])


def _row(pair: Pair, models: Sequence[MapModel], feeds: Sequence[Feed], block: int | None) -> list[_Found]:
    rgb, truth = decode_image(pair.image), truth_of(pair)
    found: dict[tuple[int, int], _Found] = {}
    for way, feed in enumerate(feeds):
        batch = rgb_to_tensor(feed.frame(rgb))
        for number, model in enumerate(models):
            try:
                values = model.run(batch)[0, 0]
            except ContractError as error:
                raise ContractError(
                    f"{error.thing}, on {pair.image.name}",
                    expected=error.expected,
                    found=error.found,
                    next_step=error.next_step,
                ) from error
            blocks = measure_blocks(values, _scaled(truth, values.shape), block) if block else None
            found[number, way] = measure(feed.native(values, *truth.shape), truth), blocks
    return [found[number, way] for number in range(len(models)) for way in range(len(feeds))]


def _scaled(truth: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the truth at the fed frame's size, by nearest pixel."""
    if truth.shape == shape:
        return truth
    picture = Image.fromarray(truth.view(np.uint8))
    size = (shape[1], shape[0])
    return np.asarray(picture.resize(size, Image.Resampling.NEAREST)).astype(np.bool_)


def _labels(models: Sequence[MapModel], feeds: Sequence[Feed]) -> list[str]:
    names = [model.name for model in models]
    told = [
        name if names.count(name) == 1 else str(model.path) for name, model in zip(names, models, strict=True)
    ]
    return [f"{name} {feed.label}".strip() for name in told for feed in feeds]
