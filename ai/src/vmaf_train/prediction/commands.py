"""The commands ``predict`` and ``compare-signal``: each parses, calls one function and prints.

Everything heavy is imported inside the commands, so that help costs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vmaf_train.errors import ConfigError
from vmaf_train.files import read_inputs, require_outputs

if TYPE_CHECKING:
    from vmaf_train.prediction.inputs import FrameForm

__all__ = ["compare_signal", "predict"]

_TO_STDOUT = Path("-")
_PIPE_WIDTH = 120

Clips = Annotated[
    list[str],
    typer.Argument(
        metavar="INPUT...",
        help="Pictures, folders of pictures, .y4m, raw .yuv, - for y4m on standard input, and whatever "
        "an installed ffmpeg reads.",
    ),
]
Size = Annotated[str | None, typer.Option(metavar="WxH", help="Size of raw .yuv frames.")]
PixelFormat = Annotated[
    str | None,
    typer.Option(
        help="yuv420p, yuv422p or yuv444p: of raw frames; what pictures are made into; what ffmpeg "
        "converts a container to, which is else read as stored."
    ),
]
Frames = Annotated[int | None, typer.Option(min=1, help="Take the first N frames of each input.")]
Threads = Annotated[int, typer.Option(min=0, help="Threads of the model; 0 takes one per processor.")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write JSON to this file; - prints it.")]


def predict(
    model: Annotated[Path, typer.Argument(help="The ONNX file.")],
    inputs: Clips,
    *,
    json_file: JsonFile = None,
    csv: Annotated[
        Path | None, typer.Option(help="Write a line per frame to this file; - prints it.")
    ] = None,
    overlay: Annotated[
        Path | None, typer.Option(help="Write frames under their map into this folder.")
    ] = None,
    maps: Annotated[Path | None, typer.Option(help="Write maps as grey PNG into this folder.")] = None,
    every: Annotated[int, typer.Option(min=1, help="Write the pictures of each N-th frame.")] = 1,
    block: Annotated[int, typer.Option(help="Side of a block for --roi, in pixels: 16 or 64.")] = 64,
    roi: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FORM:FILE",
            help="Write encoder offsets: svt-av1, kvazaar, addroi, x264-zones or x265-zones. FILE alone "
            "is svt-av1 for blocks of 64 and addroi for 16.",
        ),
    ] = None,
    roi_range: Annotated[
        str, typer.Option(metavar="LOW:HIGH", help="Least and greatest offset, in quantiser steps of 0..51.")
    ] = "-6:6",
    size: Size = None,
    pixel_format: PixelFormat = None,
    frames: Frames = None,
    threads: Threads = 0,
) -> None:
    """Print the number that an extractor gives for each frame: its map's mean, change and latency."""
    from vmaf_train.prediction.blocks import parse_offset_range
    from vmaf_train.prediction.roi_files import parse_roi_target

    if block not in (16, 64):
        raise ConfigError("--block", expected="16 or 64", found=str(block), next_step="give one of the two")
    targets = tuple(parse_roi_target(text, block) for text in roi or ())
    within = parse_offset_range(roi_range)
    form = _frame_form(size, pixel_format)
    files = [("--json", json_file), ("--csv", csv), *(("--roi", target.path) for target in targets)]
    _require_files(files, [model, *map(Path, inputs)])
    _require_folders({"--overlay": overlay, "--maps": maps}, inputs)
    to_stdout = [path for path in (json_file, csv) if path == _TO_STDOUT]
    if len(to_stdout) > 1:
        raise ConfigError(
            "--json - and --csv -",
            expected="one of them on standard output",
            found="both",
            next_step="give one of them a file",
        )

    from rich.console import Console

    from vmaf_train.files import dump_json
    from vmaf_train.onnx_session import open_model
    from vmaf_train.prediction.passes import PictureWish, RoiWish, predict_inputs
    from vmaf_train.prediction.reports import csv_text, prediction_dict, prediction_table

    opened = open_model(model, threads=threads)
    reports = predict_inputs(
        opened,
        inputs,
        form,
        limit=frames,
        pictures=PictureWish(overlay, maps, every),
        roi=RoiWish(targets, block, within),
        console=Console(stderr=True),
    )
    _write(json_file, lambda: dump_json(prediction_dict(opened, reports)))
    _write(csv, lambda: csv_text(opened, reports))
    _show(
        prediction_table(opened, reports),
        [(report.name, note) for report in reports for note in report.notes],
        aside=bool(to_stdout),
    )


def compare_signal(
    model_a: Annotated[Path, typer.Argument(metavar="A", help="One ONNX file.")],
    model_b: Annotated[Path, typer.Argument(metavar="B", help="Another ONNX file.")],
    inputs: Clips,
    *,
    plot: Annotated[Path, typer.Option(help="Draw both series into this .svg or .png.")] = Path("signal.svg"),
    json_file: JsonFile = None,
    size: Size = None,
    pixel_format: PixelFormat = None,
    frames: Frames = None,
    threads: Threads = 0,
) -> None:
    """Compare the series of two models on the same frames: spread, correlation and a plot."""
    drawn = plot.suffix.lower().removeprefix(".")
    if drawn not in ("svg", "png"):
        raise ConfigError(
            f"--plot {plot}",
            expected="a name in .svg or .png",
            found=f"{plot.suffix or 'no suffix'}",
            next_step="give for instance signal.svg",
        )
    form = _frame_form(size, pixel_format)
    _require_files([("--plot", plot), ("--json", json_file)], [model_a, model_b, *map(Path, inputs)])

    from rich.console import Console

    from vmaf_train.files import dump_json, write_atomic
    from vmaf_train.onnx_session import open_model
    from vmaf_train.prediction.comparison import compare, comparison_dict, comparison_table, signal_plot
    from vmaf_train.prediction.passes import compare_inputs

    models = open_model(model_a, threads=threads), open_model(model_b, threads=threads)
    seen = compare_inputs(models, inputs, form, limit=frames, console=Console(stderr=True))
    rows = [compare(name, pairs, notes) for name, pairs, notes in seen]
    clips = [(name, pairs) for name, pairs, _ in seen]
    whole = rows[0]
    if len(clips) > 1:
        whole = compare("all", [pair for _, pairs in clips for pair in pairs])
        rows.append(whole)
    said = f"undefined: {whole.undefined}" if whole.correlation is None else f"{whole.correlation:.4f}"
    write_atomic(plot, signal_plot(models, clips, f"correlation {said}", form=drawn))
    _write(json_file, lambda: dump_json(comparison_dict(models, rows)))
    notes = [(letter, str(model.path)) for letter, model in zip("AB", models, strict=True)]
    notes += [(row.name, note) for row in rows for note in row.notes]
    _show(comparison_table(rows), [*notes, ("plot", str(plot))], aside=json_file == _TO_STDOUT)


def _frame_form(size: str | None, pixel_format: str | None) -> FrameForm:
    from vmaf_train.prediction.clip import parse_pixel_format, parse_size
    from vmaf_train.prediction.inputs import FrameForm

    return FrameForm(
        None if pixel_format is None else parse_pixel_format(pixel_format),
        None if size is None else parse_size(size),
    )


def _require_files(files: Sequence[tuple[str, Path | None]], inputs: Sequence[Path]) -> None:
    wanted = [(option, path) for option, path in files if path is not None and path != _TO_STDOUT]
    require_outputs(wanted, read_inputs(inputs))


def _require_folders(folders: Mapping[str, Path | None], inputs: Sequence[str]) -> None:
    """Refuse folders in which pictures would replace those of another option, or those that are read."""
    taken = read_inputs(map(Path, inputs))
    for picture in (Path(name) for name in inputs if name.lower().endswith(".png")):
        # Of a link both the folder where it stands and that of the file.
        for place in (picture.parent, Path(os.path.realpath(picture)).parent):
            taken[place] = f"the folder of {picture}, which is read"
    wanted = [(option, folder) for option, folder in folders.items() if folder is not None]
    require_outputs(wanted, taken, folder=True)


def _write(path: Path | None, text: Any) -> None:
    from vmaf_train.files import write_atomic

    if path == _TO_STDOUT:
        typer.echo(text(), nl=False)
    elif path is not None:
        write_atomic(path, text())


def _show(table: Any, notes: list[tuple[str, str]], *, aside: bool) -> None:
    """Print a table and lines below it; on standard error where standard output holds data."""
    from rich.console import Console

    console = Console(stderr=aside)
    # A pipe has no width to keep to.
    console = console if console.is_terminal else Console(stderr=aside, width=_PIPE_WIDTH)
    console.print(table, markup=False)
    for name, note in notes:
        console.print(f"{name}: {note}", highlight=False, markup=False, soft_wrap=True)
