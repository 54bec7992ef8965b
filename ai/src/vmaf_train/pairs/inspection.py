"""The pass over every pair before anything learns from it: what is kept, dropped and odd."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal, NamedTuple

from vmaf_train.errors import ConfigError, DataError
from vmaf_train.pairs.facts import FactStore, FileFacts, Finding, Side, Stamp, examine, file_stamp
from vmaf_train.pairs.listing import Listing, Pair, printable

__all__ = [
    "MAX_ASPECT",
    "DropReason",
    "Dropped",
    "Inspection",
    "data_digest",
    "inspect_pairs",
    "require_clean",
]

MAX_ASPECT = 10
"""Longer side over shorter side beyond which a pair is refused: resizing by the short side would
make a strip of no use (2000x3 would become 192000x288)."""

_EXTREME_ASPECT = 2.5
_LABEL_SCALE = 15
_NAMED_IN_ERRORS = 5
_WINDOW = 256

Progress = Callable[[int, int], None]


class DropReason(StrEnum):
    """Why a file or a pair is not used."""

    UNPAIRED = "unpaired"
    UNREADABLE = "unreadable"
    SIZE_MISMATCH = "size_mismatch"
    REFUSED_ASPECT = "refused_aspect"
    LABEL_SCALE_MASK = "label_scale_mask"
    IMAGE_AS_MASK = "image_as_mask"


class Dropped(NamedTuple):
    """What was dropped: the files concerned, the reason and what exactly was seen."""

    paths: tuple[Path, ...]
    reason: DropReason
    detail: str

    @property
    def line(self) -> str:
        """All of it in one line, with the first file's name alone."""
        return f"{printable(self.paths[0])} ({self.reason}: {self.detail})"


@dataclass(frozen=True)
class Inspection:
    """The outcome of a full decode of every file of a listing.

    Attributes:
        listing: what was inspected.
        kept: the usable pairs, in the listing's order.
        dropped: everything else, unpaired files included.
        counts: ``pairs`` (in the listing), ``kept``, ``dropped``, ``junk``, one number per
            ``DropReason`` and one per ``Finding`` over the kept pairs; each key is always there.
        set_counts: per set, ``pairs``, ``kept`` and ``dropped`` (pairs only).
        findings: the files behind each finding, over the kept pairs.
        duplicates: groups of stems whose pictures are the same bytes, over the kept pairs.
        grey_share: mean share of mask pixels that are neither 0 nor 255, 0..1, over the kept pairs.
        digest: the data digest, ``data_digest`` over the kept pairs.
    """

    listing: Listing
    kept: tuple[Pair, ...]
    dropped: tuple[Dropped, ...]
    counts: dict[str, int]
    set_counts: dict[str, dict[str, int]]
    findings: Mapping[Finding, tuple[Path, ...]]
    duplicates: tuple[tuple[str, ...], ...]
    grey_share: float
    digest: str


class _Examined(NamedTuple):
    pair: Pair
    image: FileFacts
    mask: FileFacts


def inspect_pairs(
    listing: Listing,
    *,
    policy: Literal["drop", "strict"] = "drop",
    workers: int | None = None,
    findings_cache: Path | None = None,
    progress: Progress | None = None,
) -> Inspection:
    """Decode every file of a listing and decide what is fit for use.

    Args:
        listing: from ``find_pairs`` or ``join_sets``.
        policy: ``drop`` leaves bad pairs out and counts them; ``strict`` raises if there is one.
        workers: threads; default one per processor. The result does not depend on it.
        findings_cache: a file that remembers each file's facts while its size and times stay
            the same; None decodes everything.
        progress: called with files done and files in all, from the calling thread.

    Raises:
        ConfigError: an unknown policy.
        DataError: nothing is left, or ``strict`` and something would be dropped; names the first
            files and the number.
    """
    if policy not in {"drop", "strict"}:
        raise ConfigError("policy", expected="drop or strict", found=repr(policy), next_step="choose one")
    examined = _examine_all(listing.pairs, workers, FactStore(findings_cache), progress)
    dropped = [
        Dropped((path,), DropReason.UNPAIRED, f"no {other} of this stem")
        for paths, other in ((listing.unmatched_images, "mask"), (listing.unmatched_masks, "picture"))
        for path in paths
    ]
    kept: list[_Examined] = []
    for entry in examined:
        fault = _fault(entry)
        if fault is None:
            kept.append(entry)
        else:
            dropped.append(fault)
    if not kept:
        raise _refusal(listing, dropped, 0)
    inspection = _report(listing, kept, dropped)
    if policy == "strict":
        require_clean(inspection)
    return inspection


def require_clean(inspection: Inspection) -> None:
    """Do what ``strict`` does, after the fact.

    Raises:
        DataError: something was dropped; names the first files and the number.
    """
    if inspection.dropped:
        raise _refusal(inspection.listing, inspection.dropped, len(inspection.kept))


def data_digest(entries: Iterable[tuple[str, str, str]]) -> str:
    """Return the SHA-256 of data as used: of (stem, picture's SHA-256, mask's SHA-256) in order."""
    digest = hashlib.sha256()
    for stem, image, mask in entries:
        digest.update(os.fsencode(stem) + f"\0{image}\0{mask}\n".encode())
    return digest.hexdigest()


def _examine_all(
    pairs: Sequence[Pair], workers: int | None, store: FactStore, progress: Progress | None
) -> list[_Examined]:
    examined: list[_Examined] = []

    def look(job: tuple[Path, Side]) -> tuple[Stamp | None, FileFacts]:
        stamp = file_stamp(job[0])
        return stamp, store.take(*job, stamp) or examine(*job)

    # Threads suffice: Pillow and hashlib release the interpreter lock while they work. A job that
    # waits takes more memory than its answer, so few wait at a time.
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        for start in range(0, len(pairs), _WINDOW):
            window = pairs[start : start + _WINDOW]
            jobs: list[tuple[Path, Side]] = [
                job for pair in window for job in ((pair.image, "image"), (pair.mask, "mask"))
            ]
            facts: list[FileFacts] = []
            for job, (stamp, fact) in zip(jobs, pool.map(look, jobs), strict=True):
                store.keep(*job, stamp, fact)
                facts.append(fact)
                if progress is not None:
                    progress(2 * start + len(facts), 2 * len(pairs))
            examined += map(_Examined, window, facts[::2], facts[1::2])
    store.save()
    return examined


def _fault(entry: _Examined) -> Dropped | None:
    pair, image, mask = entry
    for path, facts in ((pair.image, image), (pair.mask, mask)):
        if facts.error is not None:
            return Dropped((path,), DropReason.UNREADABLE, facts.error)
    both = (pair.image, pair.mask)
    if image.sha256 == mask.sha256:
        return Dropped(both, DropReason.IMAGE_AS_MASK, "picture and mask are the same bytes")
    if (image.height, image.width) != (mask.height, mask.width):
        detail = f"picture {image.width}x{image.height}, mask {mask.width}x{mask.height}"
        if (image.stored_height, image.stored_width) == (mask.height, mask.width):
            detail += "; the mask fits the picture before its EXIF turn"
        return Dropped(both, DropReason.SIZE_MISMATCH, detail)
    if _aspect(image) > MAX_ASPECT:
        detail = f"{image.width}x{image.height}, longer than {MAX_ASPECT} times its short side"
        return Dropped(both, DropReason.REFUSED_ASPECT, detail)
    if 0 < mask.highest <= _LABEL_SCALE:
        detail = f"highest grey {mask.highest} of 255: labels, not levels"
        return Dropped((pair.mask,), DropReason.LABEL_SCALE_MASK, detail)
    return None


def _aspect(facts: FileFacts) -> float:
    return max(facts.height, facts.width) / min(facts.height, facts.width)


def _refusal(listing: Listing, dropped: Sequence[Dropped], kept: int) -> DataError:
    named = [bad.line for bad in dropped[:_NAMED_IN_ERRORS]]
    more = f" and {len(dropped) - len(named)} more" if len(dropped) > len(named) else ""
    return DataError(
        str(listing.root),
        expected="no bad file" if kept else "at least one usable pair",
        found=f"{len(dropped)} bad: " + "; ".join(named) + more,
        next_step="mend or remove them, or use policy drop" if kept else "fetch the set again",
    )


def _report(listing: Listing, kept: Sequence[_Examined], dropped: Sequence[Dropped]) -> Inspection:
    findings: dict[Finding, list[Path]] = {finding: [] for finding in Finding}
    by_content: dict[str, list[Pair]] = {}
    for entry in kept:
        for path, facts in ((entry.pair.image, entry.image), (entry.pair.mask, entry.mask)):
            for finding in facts.findings:
                findings[Finding(finding)].append(path)
        if _aspect(entry.image) >= _EXTREME_ASPECT:
            findings[Finding.EXTREME_ASPECT].append(entry.pair.image)
        by_content.setdefault(entry.image.sha256, []).append(entry.pair)
    groups = [group for group in by_content.values() if len(group) > 1]
    findings[Finding.DUPLICATE_IMAGE] = [pair.image for group in groups for pair in group[1:]]
    reasons = Counter(fault.reason for fault in dropped)
    in_sets = Counter(pair.set_name for pair in listing.pairs)
    kept_in_sets = Counter(entry.pair.set_name for entry in kept)
    return Inspection(
        listing=listing,
        kept=tuple(entry.pair for entry in kept),
        dropped=tuple(dropped),
        counts={
            "pairs": len(listing.pairs),
            "kept": len(kept),
            "dropped": len(dropped),
            "junk": len(listing.junk),
            **{reason.value: reasons[reason] for reason in DropReason},
            **{finding.value: len(paths) for finding, paths in findings.items()},
        },
        set_counts={
            name: {"pairs": count, "kept": kept_in_sets[name], "dropped": count - kept_in_sets[name]}
            for name, count in sorted(in_sets.items())
        },
        findings={finding: tuple(paths) for finding, paths in findings.items()},
        duplicates=tuple(tuple(pair.stem for pair in group) for group in groups),
        grey_share=sum(entry.mask.grey_share for entry in kept) / len(kept),
        digest=data_digest((entry.pair.stem, entry.image.sha256, entry.mask.sha256) for entry in kept),
    )
