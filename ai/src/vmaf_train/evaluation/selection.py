"""Which pairs of a folder are judged: the usable ones, not those trained on, or an even share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from vmaf_train.errors import ConfigError
from vmaf_train.files import sha256_file
from vmaf_train.pairs import (
    CATALOGUE,
    Inspection,
    Leak,
    Listing,
    Pair,
    data_digest,
    find_leaks,
    find_pairs,
    findings_path,
    inspect_pairs,
    join_sets,
)

__all__ = ["Selection", "evenly", "select_pairs"]

Bar = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]


@dataclass(frozen=True)
class Selection:
    """The pairs to judge and what a reader must know of them.

    Attributes:
        name: the set's name as its authors write it, where that is known.
        licence: the terms as published.
        pairs: those to judge, sorted by stem.
        kept: how many the inspection kept.
        dropped: how many pairs or files it left out, by reason; reasons without any are absent.
        leaks: test pictures that the training set holds too; left out of ``pairs``. None where no
            training set was named.
        trained_on: name and number of pictures of the training set, in words; empty for none.
        trained_digest: the data digest of the training set; empty for none.
        published: how many pairs the set's authors published; None where that is not known.
        digest: the data digest over ``pairs``.
        copy_note: how the copy in use differs from the published files; empty for nothing known.
    """

    name: str
    licence: str
    pairs: tuple[Pair, ...]
    kept: int
    dropped: dict[str, int]
    leaks: tuple[Leak, ...] | None
    trained_on: str
    trained_digest: str
    published: int | None
    digest: str
    copy_note: str = ""

    @property
    def share(self) -> str:
        """How the pairs were chosen from the kept ones, where that leaves some out."""
        usable = self.kept - len({leak.test.stem for leak in self.leaks or ()})
        return "" if len(self.pairs) == usable else f"{len(self.pairs)} of {usable} pairs, evenly spaced"

    @property
    def notes(self) -> str:
        """What stands beside the figures, in whole sentences."""
        told = []
        if self.published is not None and self.published != self.kept:
            told.append(f"This copy holds {self.kept:,} of the {self.published:,} published pairs.")
        if self.copy_note:
            told.append(f"The copy in use: {self.copy_note.strip().rstrip('.')}.")
        if self.dropped:
            reasons = ", ".join(f"{count} {reason}" for reason, count in self.dropped.items())
            told.append(f"Left out as unusable: {reasons}.")
        if self.leaks is None:
            told.append("Whether the model was trained on some of these pictures was not checked.")
        else:
            equal = sum(leak.same_bytes for leak in self.leaks)
            left_out = len({leak.test.stem for leak in self.leaks})
            told.append(
                f"Compared with the pictures of {self.trained_on}: {left_out} found there and left out"
                + (f" ({equal} the same, {len(self.leaks) - equal} alike)." if self.leaks else ".")
            )
        return " ".join(told)


def select_pairs(
    root: Path,
    *,
    bar: Bar,
    layout: str = "auto",
    limit: int | None = None,
    train: Sequence[Path] = (),
    licence: str | None = None,
    copy_note: str = "",
    cache_dir: Path | None = None,
    workers: int | None = None,
) -> Selection:
    """Find, decode and choose the pairs below ``root``.

    Args:
        root: the folder of one set.
        bar: makes a progress bar of a text.
        layout: as ``find_pairs`` takes it.
        limit: at most so many pairs, evenly spaced in the order of their stems.
        train: the folders of the training sets; their pictures are left out.
        licence: terms in place of the catalogue's.
        copy_note: how the copy differs from the published files.
        cache_dir: where findings are remembered; None for the user's cache.
        workers: threads; default one per processor.

    Raises:
        ConfigError: no such folder, or the near-duplicate search is not installed.
        DataError: nothing usable is there, or nothing is left.
    """
    listing = find_pairs(root, layout)
    trained = join_sets([find_pairs(folder) for folder in train]) if train else None
    inspection = _inspected(listing, bar, cache_dir, workers)
    leaks, trained_on, trained_digest = None, "", ""
    if trained is not None:
        seen = _inspected(trained, bar, cache_dir, workers)
        with bar("comparing with the training set") as told:
            leaks = find_leaks(seen.kept, inspection.kept, workers=workers, progress=told)
        trained_on, trained_digest = f"{trained.set_name} ({len(seen.kept):,})", seen.digest
    gone = {leak.test.stem for leak in leaks or ()}
    usable = [pair for pair in inspection.kept if pair.stem not in gone]
    if not usable:
        raise ConfigError(
            str(root),
            expected="pictures that the model was not trained on",
            found=f"all {len(inspection.kept)} in {trained_on}",
            next_step="give a test set with --data and the training set with --train",
        )
    chosen = evenly(usable, limit)
    if len(chosen) == len(inspection.kept):
        digest = inspection.digest
    else:
        digest = data_digest((pair.stem, sha256_file(pair.image), sha256_file(pair.mask)) for pair in chosen)
    known = CATALOGUE.get(listing.set_name)
    return Selection(
        name=known.folder if known else listing.set_name,
        licence=licence or (known.terms if known else "not stated"),
        pairs=tuple(chosen),
        kept=len(inspection.kept),
        dropped=_dropped(inspection),
        leaks=leaks,
        trained_on=trained_on,
        trained_digest=trained_digest,
        published=known.pairs if known else None,
        digest=digest,
        copy_note=copy_note,
    )


def _inspected(listing: Listing, bar: Bar, cache_dir: Path | None, workers: int | None) -> Inspection:
    with bar(f"inspecting {listing.set_name}") as told:
        return inspect_pairs(
            listing, workers=workers, findings_cache=findings_path(listing.root, cache_dir), progress=told
        )


def evenly(pairs: Sequence[Pair], limit: int | None) -> list[Pair]:
    """Return at most ``limit`` of the pairs, evenly spaced in their order; all of them for None."""
    if limit is None or limit >= len(pairs):
        return list(pairs)
    return [pairs[i * len(pairs) // limit] for i in range(limit)]


def _dropped(inspection: Inspection) -> dict[str, int]:
    counts: dict[str, int] = {}
    for bad in inspection.dropped:
        counts[bad.reason.value] = counts.get(bad.reason.value, 0) + 1
    return counts
