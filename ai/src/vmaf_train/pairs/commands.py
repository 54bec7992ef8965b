"""The ``data`` commands: each parses, calls one function and prints.

Everything heavy is imported inside the commands, so that help costs nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vmaf_train.progress import progress_bar

if TYPE_CHECKING:
    from vmaf_train.pairs.inspection import Inspection
    from vmaf_train.pairs.listing import Listing

__all__ = ["data_app"]

data_app = typer.Typer(
    help="Inspect, fetch and cache picture and mask pairs.", no_args_is_help=True, add_completion=False
)
cache_app = typer.Typer(help="List or clear the decoded pairs.", no_args_is_help=True, add_completion=False)
data_app.add_typer(cache_app, name="cache")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON in place of a table.")]
CacheDir = Annotated[
    Path | None, typer.Option(help="Where findings and decoded pairs are kept; default: the user's cache.")
]


@data_app.command("inspect")
def inspect_command(
    roots: Annotated[list[Path], typer.Argument(help="The folder of a set; several are joined.")],
    *,
    layout: Annotated[str, typer.Option(help="auto, a known layout, or folders:IMAGES:MASKS.")] = "auto",
    strict: Annotated[bool, typer.Option("--strict", help="Fail if any file would be dropped.")] = False,
    sheet: Annotated[Path | None, typer.Option(help="Write a contact sheet to this PNG.")] = None,
    against: Annotated[
        Path | None, typer.Option(help="A test set: report the pictures that it shares with this one.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; default one per processor.")] = None,
    cache_dir: CacheDir = None,
    as_json: AsJson = False,
) -> None:
    """Decode every pair to its last pixel; say what is kept, what is dropped and what is odd."""
    from vmaf_train.pairs.inspection import require_clean
    from vmaf_train.pairs.leakage import find_leaks
    from vmaf_train.pairs.listing import find_pairs, join_sets
    from vmaf_train.pairs.reports import inspection_dict, inspection_table
    from vmaf_train.pairs.sheet import contact_sheet

    listing = join_sets([find_pairs(root, layout) for root in roots])
    test = None if against is None else find_pairs(against)
    inspection = _inspected(listing, "inspecting", workers, cache_dir)
    leaks = None
    if test is not None:
        tested = _inspected(test, "inspecting the other set", workers, cache_dir)
        with progress_bar("comparing") as told:
            leaks = find_leaks(inspection.kept, tested.kept, workers=workers, progress=told)
    if sheet is not None:
        contact_sheet(inspection, sheet)
    if as_json:
        _print_json(inspection_dict(inspection, leaks))
    else:
        _print(inspection_table(inspection, leaks))
    if strict:
        require_clean(inspection)


def _inspected(listing: Listing, what: str, workers: int | None, cache_dir: Path | None) -> Inspection:
    from vmaf_train.pairs.inspection import inspect_pairs
    from vmaf_train.pairs.places import findings_path

    with progress_bar(what) as told:
        return inspect_pairs(
            listing, workers=workers, findings_cache=findings_path(listing.root, cache_dir), progress=told
        )


@data_app.command("fetch")
def fetch_command(
    name: Annotated[str, typer.Argument(help="A known corpus, such as duts-tr.")],
    to: Annotated[Path, typer.Option(help="The folder to put the corpus into.")],
    url: Annotated[str | None, typer.Option(help="An address in place of the known one.")] = None,
    sha256: Annotated[str | None, typer.Option(help="The archive's SHA-256, if none is known.")] = None,
    as_json: AsJson = False,
) -> None:
    """Download a corpus, check it against its digest and unpack it; all or nothing."""
    from vmaf_train.pairs.fetch import fetch_corpus
    from vmaf_train.pairs.reports import fetched_dict, fetched_table

    with progress_bar(f"fetching {name}", of_bytes=True) as told:
        fetched = fetch_corpus(name, to, url=url, sha256=sha256, progress=told)
    if as_json:
        _print_json(fetched_dict(fetched))
    else:
        _print(fetched_table(fetched))


@cache_app.command("list")
def list_command(cache_dir: CacheDir = None, as_json: AsJson = False) -> None:
    """List the decoded pairs kept on disk, unfinished builds included."""
    from vmaf_train.pairs.entries import cache_entries
    from vmaf_train.pairs.reports import cache_dicts, cache_table

    entries = cache_entries(cache_dir)
    if as_json:
        _print_json(cache_dicts(entries))
    else:
        _print(cache_table(entries))


@cache_app.command("clear")
def clear_command(
    keys: Annotated[
        list[str] | None, typer.Argument(help="Starts of keys to remove; default: everything.")
    ] = None,
    cache_dir: CacheDir = None,
    as_json: AsJson = False,
) -> None:
    """Remove decoded pairs from the disk; without keys the remembered findings too."""
    from vmaf_train.pairs.entries import clear_cache
    from vmaf_train.pairs.reports import cache_dicts

    removed = clear_cache(cache_dir, keys or None)
    if as_json:
        _print_json(cache_dicts(removed))
    else:
        size = sum(entry.size for entry in removed) / 2**20
        typer.echo(f"removed {len(removed)} entries, {size:.1f} MiB")


def _print(renderable: Any) -> None:
    from rich.console import Console

    Console().print(renderable)


def _print_json(value: Any) -> None:
    from vmaf_train.files import dump_json

    typer.echo(dump_json(value), nl=False)
