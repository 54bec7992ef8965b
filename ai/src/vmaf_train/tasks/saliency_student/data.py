"""Which pairs a run trains on and which it holds out, from folders or from the embedded corpus."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from vmaf_train.errors import ConfigError, DataError
from vmaf_train.files import names_digest
from vmaf_train.pairs import (
    CATALOGUE,
    DecodedPairs,
    Inspection,
    decoded_cache,
    default_cache_dir,
    find_pairs,
    findings_path,
    inspect_pairs,
    join_sets,
)
from vmaf_train.run_record import CorpusRecord, DataRecord
from vmaf_train.task import DataSplits, StageProgress
from vmaf_train.tasks.saliency_student.config import SaliencyConfig
from vmaf_train.tasks.saliency_student.corpus import CORPUS_VERSION, EmbeddedPairs
from vmaf_train.tasks.saliency_student.samples import ArrayPairs, TrainSamples, ValSamples

__all__ = ["hold_out", "load_splits"]


def hold_out(stems: Sequence[str], share: float, seed: int) -> frozenset[str]:
    """Return the stems held out for validation.

    The stems are sorted, shuffled by ``random.Random(seed)``, and the first ``round(share * n)``,
    at least one, are held out: the same for any order of the file system.
    """
    shuffled = sorted(stems)
    random.Random(seed).shuffle(shuffled)
    return frozenset(shuffled[: max(1, round(share * len(shuffled)))])


def load_splits(config: SaliencyConfig, progress: StageProgress) -> DataSplits:
    """Return the training and validation samples, from folders or from the embedded corpus.

    Raises:
        ConfigError, DataError: the folders are missing, hold no pair, or too few of them.
    """
    return _embedded_splits(config) if config.data.root is None else _folder_splits(config, progress)


def _split_text(config: SaliencyConfig) -> str:
    prefixes = config.validation.hard_prefixes
    return (
        f"stems sorted, shuffled with seed {config.validation.seed}, "
        f"the first {100 * config.validation.share:g}% held out"
    ) + (f", then all that begin with {', '.join(prefixes)} as the hard slice" if prefixes else "")


def _hard_slice(stems: Sequence[str], held: frozenset[str], config: SaliencyConfig) -> frozenset[str]:
    """Return the stems of the hard slice; what is held out already stays in its own slice."""
    prefixes = config.validation.hard_prefixes
    hard = frozenset(stem for stem in stems if stem.startswith(prefixes)) - held
    if prefixes and not hard:
        raise ConfigError(
            "validation.hard_prefixes",
            expected="the beginning of at least one stem that is not held out already",
            found=", ".join(prefixes),
            next_step="correct the prefixes, or leave them out",
        )
    return hard


def _flags(stems: Sequence[str], hard: frozenset[str], config: SaliencyConfig) -> tuple[bool, ...] | None:
    return tuple(stem in hard for stem in stems) if config.validation.hard_prefixes else None


def _embedded_splits(config: SaliencyConfig) -> DataSplits:
    size = config.validation.size
    if size > config.augmentation.short_side:
        raise ConfigError(
            "validation.size",
            expected=f"at most augmentation.short_side {config.augmentation.short_side}, the scenes' height",
            found=str(size),
            next_step="lower validation.size",
        )
    count, seed = config.data.embedded.pairs, config.data.embedded.seed
    scenes = EmbeddedPairs(count, seed, config.augmentation.short_side)
    held = hold_out(scenes.stems, config.validation.share, config.validation.seed)
    hard = _hard_slice(scenes.stems, held, config)
    train = [index for index, stem in enumerate(scenes.stems) if stem not in held | hard]
    val = [index for index, stem in enumerate(scenes.stems) if stem in held | hard]
    corpus = CorpusRecord(
        name=f"embedded scenes, version {CORPUS_VERSION}",
        licence="made by this program, no third-party material",
        found=count,
        kept=count,
    )
    provenance = DataRecord(
        corpora=(corpus,),
        train=len(train),
        val=len(val),
        split=_split_text(config),
        digest=scenes.digest(),
        held_out=names_digest(scenes.stems[i] for i in val),
        synthetic=True,
    )
    return DataSplits(
        TrainSamples(_Subset(scenes, tuple(train)), config.augmentation),
        ValSamples(_Subset(scenes, tuple(val)), size, _flags([scenes.stems[i] for i in val], hard, config)),
        provenance,
    )


@dataclass(frozen=True)
class _Subset:
    pairs: ArrayPairs
    indices: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.indices)

    def image(self, i: int) -> NDArray[np.uint8]:
        return self.pairs.image(self.indices[i])

    def mask(self, i: int) -> NDArray[np.uint8]:
        return self.pairs.mask(self.indices[i])


def _folder_splits(config: SaliencyConfig, progress: StageProgress) -> DataSplits:
    roots = [root for root in (config.data.root, *config.data.extra_roots) if root is not None]
    for root in roots:
        _require_standing(root)
    listing = join_sets([find_pairs(root, config.data.layout) for root in roots])
    cache_dir = config.data.cache_dir or default_cache_dir()
    inspection = inspect_pairs(
        listing,
        policy=config.data.policy,
        findings_cache=findings_path(listing.root, cache_dir),
        progress=_stage(progress, "check files"),
    )
    # The split is drawn over all pairs that were found: a faulty file then moves no other pair.
    held = hold_out([pair.stem for pair in listing.pairs], config.validation.share, config.validation.seed)
    hard = _hard_slice([pair.stem for pair in listing.pairs], held, config)
    train = [pair for pair in inspection.kept if pair.stem not in held | hard]
    val = [pair for pair in inspection.kept if pair.stem in held | hard]
    if not train:
        raise ConfigError(
            str(config.data.root),
            expected="at least one pair to train on and one to validate",
            found=f"0 and {len(val)}",
            next_step="add pairs or change validation.share",
        )
    for name, slice_stems in (("held-out", held), ("hard", hard)):
        if slice_stems and not any(pair.stem in slice_stems for pair in val):
            _refuse_empty_slice(name, slice_stems, inspection)

    def decoded(part: str, short_side: int) -> DecodedPairs:
        return decoded_cache(
            train if part == "training" else val,
            short_side=short_side,
            cache_dir=cache_dir,
            progress=_stage(progress, f"decode {part} pairs"),
        )

    train_pairs = decoded("training", config.augmentation.short_side)
    val_pairs = decoded("validation", config.validation.size)
    provenance = DataRecord(
        corpora=_corpora(inspection, config.data.note),
        train=len(train),
        val=len(val),
        split=_split_text(config),
        digest=inspection.digest,
        held_out=names_digest(pair.stem for pair in val),
        held_out_twins=_twins(inspection, {pair.stem for pair in val}),
    )
    return DataSplits(
        TrainSamples(train_pairs, config.augmentation),
        ValSamples(val_pairs, config.validation.size, _flags([pair.stem for pair in val], hard, config)),
        provenance,
        tuple(bad.line for bad in inspection.dropped),
    )


def _refuse_empty_slice(name: str, stems: frozenset[str], inspection: Inspection) -> NoReturn:
    """Refuse to judge by a slice of which every pair was left out: its metric would be no number."""
    pairs = (pair for pair in inspection.listing.pairs if pair.stem in stems)
    files = {path for pair in pairs for path in (pair.image, pair.mask)}
    faults = [bad.line for bad in inspection.dropped if files.intersection(bad.paths)]
    raise DataError(
        str(inspection.listing.root),
        expected=f"a usable pair among the {len(stems)} of the {name} slice",
        found="none: " + "; ".join(faults[:3]) + (" and more" if len(faults) > 3 else ""),
        next_step="mend or replace these files, or hold out others (validation.share, hard_prefixes)",
    )


def _require_standing(root: Path) -> None:
    """Refuse a root that is gone: its name was right when the command line was checked."""
    try:
        stands = root.is_dir()
    except OSError:  # a share that does not answer
        stands = False
    if not stands:
        raise DataError(
            str(root),
            expected="the folder of training data",
            found="no folder there",
            next_step="bring it back and go on by --resume, or correct --data",
        )


def _twins(inspection: Inspection, held: set[str]) -> int:
    """Count the held-out pairs whose picture is also that of a pair to train on."""
    return sum(
        sum(stem in held for stem in group) for group in inspection.duplicates if not held.issuperset(group)
    )


def _stage(progress: StageProgress, name: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(name, done, total)


def _corpora(inspection: Inspection, note: str) -> tuple[CorpusRecord, ...]:
    """One record per set, with what was left out and what was seen, by reason."""
    set_of_folder = {
        path.parent: pair.set_name for pair in inspection.listing.pairs for path in (pair.image, pair.mask)
    }
    dropped: Counter[tuple[str, str]] = Counter()
    for drop in inspection.dropped:
        dropped[set_of_folder.get(drop.paths[0].parent, ""), drop.reason.value] += 1
    seen: Counter[tuple[str, str]] = Counter()
    for finding, paths in inspection.findings.items():
        for path in paths:
            seen[set_of_folder.get(path.parent, ""), finding.value] += 1
    records = []
    for name, counts in sorted(inspection.set_counts.items()):
        published = CATALOGUE.get(name)
        archive = published.archive if published is not None else None
        records.append(
            CorpusRecord(
                name=name,
                citation=published.citation if published is not None else "",
                licence=published.terms if published is not None else "as its owner states",
                url=archive.url if archive is not None else None,
                last_modified=archive.last_modified if archive is not None else None,
                length_bytes=archive.size if archive is not None else None,
                archive_sha256=archive.sha256 if archive is not None else None,
                published_pairs=published.pairs if published is not None else None,
                found=counts["pairs"],
                kept=counts["kept"],
                dropped={why: number for (owner, why), number in sorted(dropped.items()) if owner == name},
                findings={kind: number for (owner, kind), number in sorted(seen.items()) if owner == name},
                copy_note=note,
            )
        )
    return tuple(records)
