"""What the runtime's ``mobilesal`` extractor expects of the file."""

from __future__ import annotations

import torch
from torch import nn

from vmaf_train.frames import IMAGENET_MEAN, IMAGENET_STD
from vmaf_train.task import ExportSpec, TensorSpec
from vmaf_train.tasks.saliency_student.config import ModelConfig
from vmaf_train.tasks.saliency_student.model import SaliencyMap

__all__ = ["saliency_export_spec"]

_OPS = frozenset({"Conv", "Relu", "MaxPool", "ConvTranspose", "Concat", "Sigmoid"})
_STRIDE = 8
_PROBES = ((8, 8), (16, 40), (72, 24), (128, 256), (264, 192), (272, 480))
_FIXED_SCALE_OPS = frozenset({"Conv", "Relu", "Add", "AveragePool", "Resize", "Shape", "Concat", "Sigmoid"})
_ANY_SIZE_PROBES = ((1, 1), (7, 13), (35, 67), (270, 481), (854, 480), (768, 1366), (2160, 3840))
INPUT_CONTRACT = {
    "bit depth": "8 bits per sample",
    "chroma": "YUV 4:2:0, 4:2:2 or 4:4:4, upsampled by nearest; 4:0:0 is refused",
    "colour": "BT.709, limited range, to RGB",
    "values": f"RGB / 255, minus mean {IMAGENET_MEAN}, over std {IMAGENET_STD}",
    "size": "native, without padding",
}


def saliency_export_spec(config: ModelConfig) -> ExportSpec:
    """Return the contract: ``input [1, 3, H, W]`` normalised RGB to ``saliency_map [1, 1, H, W]``.

    The U-Net takes sizes that are multiples of 8 alone: its pooling rounds down, so that at any
    other size its Concat nodes do not meet and the runtime stops there. The network with a working
    size takes any size from 1x1.
    """
    if config.network == "fixed_scale":
        return ExportSpec(
            input=TensorSpec("input", (1, 3, "H", "W")),
            output=TensorSpec("saliency_map", (1, 1, "H", "W")),
            # At the working size nothing is resized.
            probe_sizes=(*_ANY_SIZE_PROBES, (config.fixed_scale.working_size,) * 2),
            shipped=_with_sigmoid,
            metric_input=torch.logit,
            ops=_FIXED_SCALE_OPS,
            output_range=(0.0, 1.0),
            input_contract=INPUT_CONTRACT,
        )
    transposed = config.decoder == "conv_transpose"
    return ExportSpec(
        input=TensorSpec("input", (1, 3, "H", "W")),
        output=TensorSpec("saliency_map", (1, 1, "H", "W")),
        probe_sizes=_PROBES,
        shipped=_with_sigmoid,
        metric_input=torch.logit,
        ops=_OPS if transposed else (_OPS - {"ConvTranspose"}) | {"Resize"},
        output_range=(0.0, 1.0),
        size_multiple=_STRIDE,
        min_size=_STRIDE,
        input_contract=INPUT_CONTRACT,
    )


def _with_sigmoid(network: nn.Module) -> nn.Module:
    return SaliencyMap(network)
