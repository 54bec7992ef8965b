"""Inspections, fetched corpora and cache entries as tables for eyes and as plain values for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from vmaf_train.pairs.entries import CacheEntry
from vmaf_train.pairs.fetch import Fetched
from vmaf_train.pairs.inspection import Dropped, DropReason, Inspection
from vmaf_train.pairs.leakage import Leak
from vmaf_train.pairs.listing import printable

__all__ = [
    "cache_dicts",
    "cache_table",
    "fetched_dict",
    "fetched_table",
    "inspection_dict",
    "inspection_table",
]

_EXAMPLES = 3


def inspection_dict(inspection: Inspection, leaks: Sequence[Leak] | None = None) -> dict[str, Any]:
    """Return everything an inspection found, each file by name, as values that JSON can hold.

    Args:
        inspection: what ``inspect_pairs`` returned.
        leaks: what ``find_leaks`` returned; None leaves the key out.
    """
    listing = inspection.listing
    told: dict[str, Any] = {
        "root": printable(listing.root),
        "layout": printable(listing.layout),
        "set": listing.set_name,
        "digest": inspection.digest,
        "counts": inspection.counts,
        "sets": inspection.set_counts,
        "grey_share": inspection.grey_share,
        "dropped": [
            {
                "files": [printable(path) for path in bad.paths],
                "reason": bad.reason.value,
                "detail": bad.detail,
            }
            for bad in inspection.dropped
        ],
        "findings": {
            finding.value: [printable(path) for path in paths]
            for finding, paths in inspection.findings.items()
            if paths
        },
        "duplicates": [[printable(stem) for stem in group] for group in inspection.duplicates],
        "junk": [printable(path) for path in listing.junk],
    }
    if leaks is not None:
        told["leaks"] = [
            {
                "train": printable(leak.train.image),
                "test": printable(leak.test.image),
                "same_bytes": leak.same_bytes,
                "mirrored": leak.mirrored,
                "distance": leak.distance,
            }
            for leak in leaks
        ]
    return told


def inspection_table(inspection: Inspection, leaks: Sequence[Leak] | None = None) -> Table:
    """Return the counts that are not zero, with the first files behind each."""
    table = Table(title=f"{escape(inspection.listing.set_name)}: {inspection.counts['kept']} pairs kept")
    table.add_column("what")
    table.add_column("count", justify="right")
    table.add_column("for example", overflow="fold")
    table.add_row("pairs", str(inspection.counts["pairs"]), "")
    for name, counts in inspection.set_counts.items() if len(inspection.set_counts) > 1 else ():
        table.add_row(f"  {escape(name)}", str(counts["pairs"]), f"{counts['kept']} kept")
    table.add_row("kept", str(inspection.counts["kept"]), f"digest {inspection.digest[:16]}")
    for reason in DropReason:
        bad = [entry for entry in inspection.dropped if entry.reason is reason]
        if bad:
            table.add_row(f"dropped: {_words(reason)}", str(len(bad)), _examples_of(bad), style="red")
    for finding, paths in inspection.findings.items():
        if paths:
            table.add_row(_words(finding), str(len(paths)), _names(paths))
    if inspection.grey_share:
        table.add_row("grey in masks", f"{inspection.grey_share:.2%}", "mean share of pixels not 0 or 255")
    if inspection.listing.junk:
        table.add_row("junk", str(len(inspection.listing.junk)), _names(inspection.listing.junk))
    if leaks is not None:
        shown = ", ".join(f"{leak.train.stem} = {leak.test.stem}" for leak in leaks[:_EXAMPLES])
        table.add_row(
            "leaks into the test set",
            str(len(leaks)),
            _text(shown, len(leaks)),
            style="red" if leaks else None,
        )
    return table


def fetched_dict(fetched: Fetched) -> dict[str, Any]:
    """Return a fetched corpus as values that JSON can hold."""
    return {**vars(fetched), "folder": printable(fetched.folder)}


def fetched_table(fetched: Fetched) -> Table:
    """Return what was fetched, its terms and what to cite."""
    table = Table(title=fetched.name, show_header=False)
    state = "downloaded" if fetched.downloaded else "was there already"
    for key, value in (
        ("folder", f"{printable(fetched.folder)} ({state})"),
        ("pairs", f"{fetched.pairs} of {fetched.expected_pairs} published"),
        ("archive", fetched.url),
        ("SHA-256", fetched.sha256),
        ("terms", fetched.terms),
        ("cite", fetched.citation),
    ):
        table.add_row(key, escape(value))
    return table


def cache_dicts(entries: Sequence[CacheEntry]) -> list[dict[str, Any]]:
    """Return cache entries as values that JSON can hold."""
    return [{**vars(entry), "sets": list(entry.sets), "path": printable(entry.path)} for entry in entries]


def cache_table(entries: Sequence[CacheEntry]) -> Table:
    """Return one row per entry and the sum."""
    table = Table(title="decoded pairs", show_footer=True)
    total = sum(entry.size for entry in entries)
    table.add_column("key", f"{len(entries)} entries", no_wrap=True)
    table.add_column("sets")
    table.add_column("pairs", justify="right")
    table.add_column("short side", justify="right")
    table.add_column("MiB", f"{total / 2**20:.1f}", justify="right")
    for entry in entries:
        sets = escape(", ".join(entry.sets)) if entry.pairs else "unfinished"
        size = f"{entry.size / 2**20:.1f}"
        table.add_row(entry.key[:12], sets, str(entry.pairs), str(entry.short_side), size)
    return table


def _words(name: str) -> str:
    return name.replace("non_", "non-").replace("_", " ")


def _names(paths: Sequence[Path]) -> str:
    return _text(", ".join(path.name for path in paths[:_EXAMPLES]), len(paths))


def _examples_of(bad: Sequence[Dropped]) -> str:
    return _text("; ".join(f"{entry.paths[0].name} ({entry.detail})" for entry in bad[:_EXAMPLES]), len(bad))


def _text(shown: str, count: int) -> str:
    return escape(printable(shown)) + (", ..." if count > _EXAMPLES else "")
