"""The command ``eval``: parse, check what can be checked, judge, print, write.

Everything heavy is imported inside, so that help costs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vmaf_train.errors import ConfigError
from vmaf_train.files import read_inputs, require_outputs
from vmaf_train.progress import progress_bar
from vmaf_train.run_paths import docs_folder

if TYPE_CHECKING:
    from vmaf_train.evaluation.outcome import Extras
    from vmaf_train.evaluation.scores import Column
    from vmaf_train.pairs import Pair
    from vmaf_train.run_record import FrameCost

__all__ = ["eval_command"]

_TIMED_PICTURES = 32
_STEADY_PICTURES = 8
_PIPE_WIDTH = 240
_FORMS = {"--sheet": (".png",), "--curves": (".svg", ".png")}


def eval_command(
    models: Annotated[list[Path], typer.Argument(metavar="MODEL.onnx...", help="Files to compare.")],
    *,
    data: Annotated[Path, typer.Option(help="Folder of a test set's pictures and masks.")],
    layout: Annotated[str, typer.Option(help="auto, a known layout, or folders:IMAGES:MASKS.")] = "auto",
    train: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of a training set, any number: leave its pictures out of the test."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many pairs, evenly spaced.")] = None,
    short_side: Annotated[
        int | None, typer.Option(min=1, max=8192, help="Scale pictures to this shorter side first.")
    ] = None,
    yuv: Annotated[
        bool, typer.Option("--yuv", help="Also through 8-bit BT.709 limited 4:2:0, with the change.")
    ] = False,
    block: Annotated[
        int | None, typer.Option(help="Also by blocks of 16 or 64 pixels, as an encoder sees it.")
    ] = None,
    video: Annotated[
        bool,
        typer.Option("--video", help="Also change from frame to frame, time and memory at 1080p and 2160p."),
    ] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every figure here.")] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Write a contact sheet to this PNG; it shows the set's pictures.")
    ] = None,
    curves: Annotated[Path | None, typer.Option(help="Write PR and F curves to this SVG or PNG.")] = None,
    append_to: Annotated[
        str | None, typer.Option(metavar="ID", help="Put the results into this registered model's card.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Terms of a set that is not in the catalogue.")] = None,
    note: Annotated[
        str, typer.Option(help="How this copy differs from the published files, for the card.")
    ] = "",
    model_dir: Annotated[Path, typer.Option(help="Folder of registry.json.")] = Path("model/tiny"),
    docs_dir: Annotated[
        Path | None, typer.Option(help="Folder of docs pages; default as for vmaf-train verify.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Pictures at a time; default one per processor.")
    ] = None,
    threads: Annotated[int, typer.Option(min=0, help="Threads of one model run; 0 is all.")] = 1,
    cache_dir: Annotated[Path | None, typer.Option(help="Where findings on files are kept.")] = None,
) -> None:
    """Measure model files against a test set, with intervals; compare several of them."""
    outputs = {"--sheet": sheet, "--curves": curves, "--json": json_file}
    _check_usage(models, block, outputs, (data, *(train or ())))
    from rich.console import Console

    from vmaf_train.evaluation.attaching import attach, require_registered
    from vmaf_train.evaluation.charts import curves as draw_curves
    from vmaf_train.evaluation.feed import Feed
    from vmaf_train.evaluation.judging import judge
    from vmaf_train.evaluation.measures import load_measures
    from vmaf_train.evaluation.outcome import conclude
    from vmaf_train.evaluation.report import outcome_dict, print_outcome
    from vmaf_train.evaluation.selection import select_pairs
    from vmaf_train.evaluation.sheet import contact_sheet
    from vmaf_train.files import dump_json, write_atomic
    from vmaf_train.onnx_session import open_model

    load_measures()
    opened = [open_model(path, threads=threads) for path in models]
    registered, docs_dir = None, docs_dir or docs_folder(model_dir)
    if append_to is not None:
        digests = [model.sha256 for model in opened]
        registered = require_registered(model_dir, docs_dir, append_to, digests)
    selection = select_pairs(
        data,
        bar=progress_bar,
        layout=layout,
        limit=limit,
        train=train or (),
        licence=licence,
        copy_note=note,
        cache_dir=cache_dir,
        workers=workers,
    )
    feeds = [Feed(short_side), Feed(short_side, yuv=True)] if yuv else [Feed(short_side)]
    with progress_bar("judging") as told:
        columns = judge(opened, selection.pairs, feeds, block=block, workers=workers, progress=told)
    outcome = conclude(selection, columns, _extras(columns, selection.pairs, video=video))
    if json_file is not None:
        write_atomic(json_file, dump_json(outcome_dict(outcome)))
    if curves is not None:
        write_atomic(curves, draw_curves(outcome, curves.suffix.lower().removeprefix(".")))
    if sheet is not None:
        write_atomic(sheet, contact_sheet(outcome))
    # A pipe has no width to keep to.
    console = Console()
    print_outcome(outcome, console if console.is_terminal else Console(width=_PIPE_WIDTH))
    if append_to is not None and registered is not None:
        for path in attach(model_dir, docs_dir, append_to, outcome.evaluations(registered)):
            typer.echo(path)


def _extras(columns: Sequence[Column], pairs: Sequence[Pair], *, video: bool) -> list[Extras]:
    """Measure alone, after everything else, what each column costs and how steady it is."""
    from vmaf_train.errors import ContractError
    from vmaf_train.evaluation.costs import VIDEO_SIZES, picture_cost, video_cost
    from vmaf_train.evaluation.outcome import Extras
    from vmaf_train.evaluation.selection import evenly
    from vmaf_train.evaluation.steadiness import highest_flat_frames, steadiness

    told = []
    for column in columns:
        model, feed = column.model, column.feed
        costs: list[FrameCost] = []
        if not feed.yuv:  # the same graph on frames of the same size takes the same time
            with progress_bar(f"timing {column.label}") as bar:
                costs.append(picture_cost(model, feed, evenly(pairs, _TIMED_PICTURES), bar))
        changes, remarks = {}, []
        if video and not feed.yuv:
            with progress_bar(f"frame to frame {column.label}") as bar:
                changes = steadiness(model, feed, evenly(pairs, _STEADY_PICTURES), bar)
            count = min(_STEADY_PICTURES, len(pairs))
            remarks.append(f"Equal frames gave equal maps; changes between frames: {count} pictures.")
            (grey, of_grey), (colour, of_colour) = highest_flat_frames(model)
            remarks.append(
                f"The highest mean of the map of a flat frame: {of_grey:.3f} among greys, by {grey}, and "
                f"{of_colour:.3f} among colours, by {colour}."
            )
            with progress_bar(f"video sizes {column.label}") as bar:
                for number, (width, height) in enumerate(VIDEO_SIZES):
                    bar(number, len(VIDEO_SIZES))
                    try:
                        costs.append(video_cost(model, width, height))
                    except ContractError as error:
                        remarks.append(f"A frame of {width}x{height} failed: {error.found}.")
        told.append(Extras(tuple(costs), changes, tuple(remarks)))
    return told


def _check_usage(
    models: Sequence[Path], block: int | None, outputs: Mapping[str, Path | None], folders: Sequence[Path]
) -> None:
    """Refuse at once what a command line got wrong.

    Raises:
        ConfigError: a model twice, an unknown block size, a picture of another form, a file that cannot
            be written, or one that would replace what is read.
    """
    from vmaf_train.pairs.layouts import is_picture

    twice = sorted({str(path) for path in models if models.count(path) > 1})
    if twice:
        raise ConfigError(
            "the models", expected="each file once", found=f"{twice[0]} twice", next_step="name it once"
        )
    if block not in {None, 16, 64}:
        raise ConfigError("--block", expected="16 or 64", found=str(block), next_step="choose one")
    for option, path in outputs.items():
        if path is None:
            continue
        forms = _FORMS.get(option, ())
        if forms and path.suffix.lower() not in forms:
            raise ConfigError(
                option,
                expected=f"a file name that ends in {' or '.join(forms)}",
                found=str(path),
                next_step="give another name",
            )
    named = [(option, path) for option, path in outputs.items() if path is not None]
    roots = [Path(os.path.realpath(folder)) for folder in folders]
    inputs = read_inputs(models)
    for _, path in named:
        place = Path(os.path.realpath(path))
        if is_picture(path.name) and place.is_file() and any(map(place.is_relative_to, roots)):
            inputs[path] = f"{path}, a picture of a set that is read"
    require_outputs(named, inputs)
