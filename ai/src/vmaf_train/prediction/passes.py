"""One pass over each input: frames in, numbers kept, pictures and region files written on the way."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from vmaf_train.errors import ConfigError
from vmaf_train.files import write_atomic
from vmaf_train.onnx_session import MapModel
from vmaf_train.pairs.listing import printable
from vmaf_train.prediction.blocks import OffsetRange
from vmaf_train.prediction.clip import ClipKind
from vmaf_train.prediction.comparison import Pairs
from vmaf_train.prediction.inputs import STANDARD_INPUT, FrameForm, open_clip
from vmaf_train.prediction.overlays import map_png, overlay_png, picture_label
from vmaf_train.prediction.progress import frame_bar
from vmaf_train.prediction.reports import InputReport, input_report, padding_note
from vmaf_train.prediction.roi_files import RoiTarget, RoiWriter
from vmaf_train.prediction.signal import FrameSignal, Seen, feature_stem, see

__all__ = ["PictureWish", "RoiWish", "compare_inputs", "predict_inputs"]


@dataclass(frozen=True)
class PictureWish:
    """Which pictures to write.

    Attributes:
        overlay: folder of overlays, or None.
        maps: folder of grey maps, or None.
        every: write those of each frame whose number is a multiple of this, at least 1.
    """

    overlay: Path | None = None
    maps: Path | None = None
    every: int = 1


@dataclass(frozen=True)
class RoiWish:
    """Which region files to write, at which block and within which offsets."""

    targets: tuple[RoiTarget, ...] = ()
    block: int = 64
    within: OffsetRange = field(default_factory=OffsetRange)


def predict_inputs(
    model: MapModel,
    names: Sequence[str],
    form: FrameForm,
    *,
    limit: int | None = None,
    pictures: PictureWish | None = None,
    roi: RoiWish | None = None,
    console: Console,
) -> list[InputReport]:
    """Run a model over every input; region files are written after the last frame, pictures at once.

    Raises:
        ConfigError: a wish that these inputs cannot meet.
        DataError: an input is missing, damaged or empty.
        ContractError: frames or maps that the contract refuses.
        PublishError: a file cannot be written.
    """
    pictures, roi = pictures or PictureWish(), roi or RoiWish()
    _require_inputs(names, form)
    if roi.targets and len(names) != 1:
        raise ConfigError(
            "--roi",
            expected="one input, since a region file belongs to one clip",
            found=f"{len(names)} inputs",
            next_step="run predict for each of them",
        )
    reports = []
    taken: set[str] = set()
    for name in names:
        label = picture_label(name, taken)
        writers = [RoiWriter(target.form, roi.block, roi.within) for target in roi.targets]
        signals: list[FrameSignal] = []
        with (
            open_clip(name, form) as clip,
            frame_bar(console, name, _least(clip.total, limit)) as advance,
            closing(see([model], clip, limit)) as frames,
        ):
            for seen in frames:
                signals.append(seen.signals[0])
                for writer in writers:
                    writer.add(seen.maps[0], seen.signals[0].mean)
                alone = clip.kind is ClipKind.PICTURE
                _write_pictures(pictures, label, feature_stem(model.output_name), seen, alone=alone)
                advance()
        reports.append(input_report(model, clip, signals))
        for target, writer in zip(roi.targets, writers, strict=True):
            write_atomic(target.path, writer.text())
    return reports


def compare_inputs(
    models: tuple[MapModel, MapModel],
    names: Sequence[str],
    form: FrameForm,
    *,
    limit: int | None = None,
    console: Console,
) -> list[tuple[str, Pairs, tuple[str, ...]]]:
    """Run two models over the same frames of every input; return each one's pairs of numbers and its notes.

    Raises:
        as :func:`predict_inputs`.
    """
    _require_inputs(names, form)
    found: list[tuple[str, Pairs, tuple[str, ...]]] = []
    for name in names:
        with (
            open_clip(name, form) as clip,
            frame_bar(console, name, _least(clip.total, limit)) as advance,
            closing(see(models, clip, limit)) as frames,
        ):
            pairs = []
            for seen in frames:
                pairs.append((seen.signals[0], seen.signals[1]))
                advance()
        notes = list(clip.notes)
        for letter, side, model in zip("AB", (0, 1), models, strict=True):
            if note := padding_note(model, [pair[side] for pair in pairs]):
                notes.append(f"{letter} {note}")
        found.append((printable(name), pairs, tuple(notes)))
    return found


def _require_inputs(names: Sequence[str], form: FrameForm) -> None:
    if names.count(STANDARD_INPUT) > 1:
        raise ConfigError(
            "input -",
            expected="standard input once",
            found=f"{names.count(STANDARD_INPUT)} times",
            next_step="name the other clips",
        )
    if form.size is not None and not any(name.lower().endswith(".yuv") for name in names):
        raise ConfigError(
            "--size",
            expected="a raw .yuv input; every other kind holds its own size",
            found="none",
            next_step="leave it out, or name the raw file .yuv",
        )


def _least(total: int | None, limit: int | None) -> int | None:
    counts = [count for count in (total, limit) if count is not None]
    return min(counts, default=None)


def _write_pictures(wish: PictureWish, label: str, stem: str, seen: Seen, *, alone: bool) -> None:
    signal = seen.signals[0]
    if signal.frame % wish.every:
        return
    file = f"{label}.png" if alone else f"{label}-{signal.frame:06d}.png"
    if wish.maps is not None:
        write_atomic(wish.maps / file, map_png(seen.maps[0]))
    if wish.overlay is not None:
        what = signal.name or f"{label} frame {signal.frame}"
        caption = f"{what}   {signal.width}x{signal.height}   {stem}_mean {signal.mean:.4f}"
        write_atomic(wish.overlay / file, overlay_png(seen.rgb, seen.maps[0], caption))
