"""Small models of the map contract, written as text."""

from __future__ import annotations

from pathlib import Path

from onnx import parser

from vmaf_train.onnx_session import MapModel, open_model

__all__ = ["CONSTANT", "HALVED", "RED", "opened", "written"]

# The red channel's sigmoid.
RED = """
<ir_version: 8, opset_import: ["" : 17]>
red (float[1,3,H,W] input) => (float[1,1,H,W] red_map)
<float[1,3,1,1] pick = {1, 0, 0}>
{
    picked = Conv (input, pick)
    red_map = Sigmoid (picked)
}
"""
# The same 0.5 for every picture.
CONSTANT = RED.replace("{1, 0, 0}", "{0, 0, 0}").replace("red", "flat")
# One halving, one doubling and a skip: sides must be even.
HALVED = """
<ir_version: 8, opset_import: ["" : 17]>
halved (float[1,3,H,W] input) => (float[1,1,H,W] seen)
<float[1,3,1,1] mix = {0.25, 0.5, 0.125}, float[1,1,2,2] up = {1, 0.5, 0.25, 0.125},
 float[1,2,1,1] head = {1, -1}>
{
    a = Conv (input, mix)
    p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (a)
    v = ConvTranspose <strides = [2, 2]> (p, up)
    both = Concat <axis = 1> (a, v)
    logits = Conv (both, head)
    seen = Sigmoid (logits)
}
"""


def written(path: Path, text: str) -> Path:
    """The file of a model."""
    path.write_bytes(parser.parse_model(text).SerializeToString())
    return path


def opened(path: Path, text: str) -> MapModel:
    """The model, opened from its file."""
    return open_model(written(path, text))
