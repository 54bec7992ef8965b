"""The prose of a saliency model's card; measured numbers come from the run record alone."""

from __future__ import annotations

from vmaf_train.run_record import CardText
from vmaf_train.tasks.saliency_student.config import ModelConfig, SaliencyConfig
from vmaf_train.tasks.saliency_student.exporter import saliency_export_spec

__all__ = ["saliency_card_text"]

_HOW_TO_READ = """\
The file returns a map of the frame's size with values from 0 (background) to 1 (stands out). The
extractor's feature `saliency_mean` is the mean of that map over the frame:

| `saliency_mean` | what it says of the frame |
|---|---|
| near 0 | flat: nothing stands out |
| 0.1 to 0.3 | typical: one subject of ordinary size |
| 0.4 to 0.6 | a large subject |
| 0.7 and above | the subject dominates the frame |

It tells how much of a frame draws the eye, not how good the frame is, and says nothing of where
that part lies; the map does. The ranges are those of a map that is right: a frame without content can
be read as a subject.
"""

_USAGE = """\
```python
import numpy as np
import onnxruntime as ort
from PIL import Image

session = ort.InferenceSession("{folder}/{id}.onnx")
frame = np.asarray(Image.open("frame.png").convert("RGB"))           # [H, W, 3], 0 to 255
rgb = (frame / 255.0 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)  # ImageNet normalisation
batch = rgb.transpose(2, 0, 1)[None].astype(np.float32)              # [1, 3, H, W]
{fit}saliency_map = session.run(["saliency_map"], {{"input": batch}})[0]      # [1, 1, H, W], 0 to 1
{crop}saliency_mean = float(saliency_map.mean())
```
"""

_PAD = """\
height, width = frame.shape[:2]                                      # both to multiples of {multiple}
batch = np.pad(batch, ((0, 0), (0, 0), (0, -height % {multiple}), (0, -width % {multiple})), mode="edge")
"""
_CROP = "saliency_map = saliency_map[..., :height, :width]\n"


def saliency_card_text(config: SaliencyConfig) -> CardText:
    """Return title, summary, use and limits for the model that ``config`` describes."""
    if config.fit.epochs == 0:
        smoke = "It was not trained, proves that the pipeline works, and is not for use on pictures. "
        seen = "Not trained: its map says nothing of a frame."
    elif config.data.root is None:
        smoke = (
            "It was trained on scenes drawn by a program, proves that the pipeline works, and is not for "
            "use on pictures. "
        )
        seen = "Trained on scenes drawn by a program alone: every photograph is outside of it."
    else:
        smoke = ""
        seen = (
            "Trained on still photographs with one annotated notion of saliency; captions, logos, screen "
            "content and dark or abstract footage are outside of it."
        )
    return CardText(
        title=f"{config.id}: saliency map of a video frame",
        summary=(
            f"{smoke}{_network_text(config.model)} that marks what stands out in a picture. It has no "
            "memory: each frame is judged alone."
        ),
        intended_use=(
            "Weights for the `mobilesal` extractor of a VMAF fork, whose feature `saliency_mean` is a "
            "content descriptor beside the classic features; also block importance for encoders. Not for "
            "judging people, not for surveillance, not a measure of quality."
        ),
        how_to_read=_HOW_TO_READ,
        usage=_usage(config),
        validation=_validation(config),
        limits=(
            "Frames are 8-bit YUV 4:2:0, 4:2:2 or 4:4:4; 10-bit and 4:0:0 are not supported.",
            "Colours are read as BT.709 limited range; other matrices and ranges shift the map.",
            "Chroma is upsampled by nearest; an extractor feeds the native size without padding.",
            *_size_limits(config.model),
            seen,
            "A frame without any content, a fade to a colour for instance, can be read as a subject: what "
            "flat frames give stands under Results, where it was measured.",
        ),
        tags=("saliency", "saliency-detection", "video-quality", "vmaf"),
        task_type="image-segmentation",
    )


def _usage(config: SaliencyConfig) -> str:
    multiple = saliency_export_spec(config.model).size_multiple
    return _USAGE.format(
        folder="build/model/tiny" if config.smoke else "model/tiny",
        id=config.id,
        fit=_PAD.format(multiple=multiple) if multiple > 1 else "",
        crop=_CROP if multiple > 1 else "",
    )


def _validation(config: SaliencyConfig) -> str:
    judged = config.validation
    made = (
        f"drawn at a short side of {config.augmentation.short_side} pixels"
        if config.data.root is None
        else f"scaled to a short side of {judged.size} pixels"
    )
    return (
        f"{made}, its central {judged.size}x{judged.size} pixels, "
        f"IoU of the map at {judged.threshold:g} (1 where map and truth are both empty there), mean over "
        "samples, in PyTorch"
    )


def _network_text(model: ModelConfig) -> str:
    if model.network == "fixed_scale":
        return (
            "A network of inverted residuals, a global term and an additive decoder, which works at a scale "
            "of its own inside the graph,"
        )
    decoder = {
        "conv_transpose": "transposed convolutions",
        "resize_conv": "bilinear resizing and convolutions",
    }
    return f"A Tiny U-Net (three stages down, three up by {decoder[model.decoder]}, skip connections)"


def _size_limits(model: ModelConfig) -> tuple[str, ...]:
    if model.network == "fixed_scale":
        side = model.fixed_scale.working_size
        return (
            f"Any frame is squashed to {side}x{side} pixels inside the graph: objects of a few pixels there "
            "are not found, and outlines are no finer than that.",
            "The frame is read at four pixels per place without a filter: fine patterns of a very large "
            "frame can alias.",
        )
    return (
        "Frame height and width must be multiples of 8, at least 8: at any other size the file stops "
        "in a Concat node, so that an extractor that feeds the native size cannot use it there (854x480 for "
        "instance). vmaf-train predict and eval pad by edge pixels and crop the map.",
        "The network sees a window of limited size: on frames much larger than its training crops, "
        "objects larger than the window are read as texture and the map loses quality.",
    )
