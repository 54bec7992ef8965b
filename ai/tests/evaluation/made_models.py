"""Small models and a small set for the tests of evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import parser
from PIL import Image

from pairs.made_files import toy_set
from vmaf_train.onnx_session import MapModel, open_model
from vmaf_train.pairs import Pair, find_pairs, inspect_pairs

# The weights of the three channels decide what stands out.
CHANNELS = """
<ir_version: 8, opset_import: ["" : 17]>
channels (float[1,3,H,W] picture) => (float[1,1,H,W] shown)
<float[1,3,1,1] mix = {WEIGHTS}>
{
    logits = Conv (picture, mix)
    shown = Sigmoid (logits)
}
"""


def channel_model(path: Path, weights: str = "1.0, -0.5, 0.25") -> Path:
    """Write a model that looks at single pixels."""
    text = CHANNELS.replace("WEIGHTS", weights)
    path.write_bytes(parser.parse_model(text).SerializeToString())
    return path


def opened(folder: Path, name: str = "first", weights: str = "1.0, -0.5, 0.25") -> MapModel:
    return open_model(channel_model(folder / f"{name}.onnx", weights))


def toy_pairs(root: Path, count: int = 6) -> tuple[Pair, ...]:
    return inspect_pairs(find_pairs(toy_set(root, count))).kept


def shown_pairs(root: Path, count: int = 6) -> Path:
    """A set whose disc is red on a dark ground, so that a model of one channel finds it."""
    rng = np.random.default_rng(7)
    for folder in ("TOY-Image", "TOY-Mask"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:40, :60]
    for i in range(count):
        inside = (y - 18 - i) ** 2 + (x - 25 - 2 * i) ** 2 < (8 + i) ** 2
        picture = rng.integers(0, 60, (40, 60, 3), dtype=np.uint8)
        picture[inside, 0] += 180
        Image.fromarray(picture).save(root / "TOY-Image" / f"{i:04}.png")
        Image.fromarray((inside * 255).astype(np.uint8)).save(root / "TOY-Mask" / f"{i:04}.png")
    return root


class Answers:
    """A session that gives one prepared output after the other, the last one for ever."""

    def __init__(self, *outputs: Any) -> None:
        self._outputs = list(outputs)

    def run(self, names: list[str], inputs: dict[str, Any]) -> list[Any]:
        (batch,) = inputs.values()
        output = self._outputs.pop(0) if len(self._outputs) > 1 else self._outputs[0]
        return [np.broadcast_to(np.float32(output), (1, 1, *batch.shape[2:]))]
