"""What is kept of an evaluation: figures per picture, never a map."""

from __future__ import annotations

from dataclasses import asdict, fields

import numpy as np
from numpy.typing import NDArray

from vmaf_train.evaluation.blocks import BlockMeasures
from vmaf_train.evaluation.feed import Feed
from vmaf_train.evaluation.measures import IOU_THRESHOLD, LEVELS, PairMeasures
from vmaf_train.onnx_session import MapModel

__all__ = ["CURVES", "IOU", "MAE", "Column"]

CURVES = ("f", "precision", "recall", "e")
IOU = f"IoU at {IOU_THRESHOLD:g}"
MAE = "MAE"

Values = NDArray[np.float64]

_SCALARS = tuple(item.name for item in fields(PairMeasures) if item.name not in CURVES)


class Column:
    """One model fed in one way: its measures over all pictures, in their order.

    Attributes:
        model: what was fed.
        feed: how.
        label: the column's head, unique among the columns of an evaluation.
        block: side of the blocks that were measured too; None for none.
    """

    def __init__(self, model: MapModel, feed: Feed, label: str, pictures: int, block: int | None) -> None:
        self.model, self.feed, self.label, self.block = model, feed, label, block
        self._scalars = {name: np.full(pictures, np.nan) for name in _SCALARS}
        self._curves = {name: np.full((pictures, LEVELS), np.nan) for name in CURVES}
        self._blocks = {name: np.full(pictures, np.nan) for name in ("iou", "rank") if block}

    @property
    def protocol(self) -> str:
        """What was fed and how the result was compared."""
        sizing = self.model.sizing
        return self.feed.protocol + (f", {sizing}" if sizing else "")

    def put(self, picture: int, found: PairMeasures, blocks: BlockMeasures | None) -> None:
        """Keep the measures of the picture of that number."""
        for name, values in self._scalars.items():
            values[picture] = getattr(found, name)
        for name, curves in self._curves.items():
            curves[picture] = getattr(found, name)
        for name, value in (asdict(blocks) if blocks is not None else {}).items():
            self._blocks[name][picture] = value

    def samples(self) -> dict[str, Values]:
        """Return each measure's values ``[pictures, K]``, as ``intervals`` takes them.

        F and E are a mean over the pictures at each threshold, then the largest or the mean.
        """
        f, e = self._curves["f"], self._curves["e"]
        found = {
            IOU: self._scalars["iou"],
            "F max": f,
            "F mean": f.mean(axis=1),
            "F weighted": self._scalars["f_weighted"],
            "S-measure": self._scalars["s"],
            "E max": e,
            "E mean": e.mean(axis=1),
            MAE: self._scalars["mae"],
        }
        if self.block:
            found[f"block {self.block} IoU"] = self._blocks["iou"]
            found[f"block {self.block} rank correlation"] = self._blocks["rank"]
        return {name: values.reshape(len(values), -1) for name, values in found.items()}

    def per_picture(self) -> dict[str, Values]:
        """Return the measures that each picture has by itself, ``[pictures]``; NaN where undefined."""
        return {name: values[:, 0] for name, values in self.samples().items() if values.shape[1] == 1}

    def curve(self, name: str) -> Values:
        """Return the mean over the pictures of one of ``CURVES``, ``[256]`` by level."""
        mean: Values = self._curves[name].mean(axis=0)
        return mean
