"""Image and mask pairs as training and validation samples."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vmaf_train.errors import ConfigError
from vmaf_train.frames import IMAGENET_MEAN, IMAGENET_STD
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
from vmaf_train.task import BatchStreams, DataSplits, StageProgress
from vmaf_train.tasks.saliency_student.config import AugmentationConfig, SaliencyConfig
from vmaf_train.tasks.saliency_student.corpus import CORPUS_VERSION, EmbeddedPairs

__all__ = ["TrainSamples", "ValSamples", "hold_out", "load_splits"]


class ArrayPairs(Protocol):
    """Decoded pairs: images uint8 RGB ``[H, W, 3]``, masks uint8 ``[H, W]`` of 0 and 1."""

    def __len__(self) -> int:
        """Return the number of pairs."""
        ...

    def image(self, i: int) -> NDArray[np.uint8]:
        """Return picture ``i``."""
        ...

    def mask(self, i: int) -> NDArray[np.uint8]:
        """Return its truth."""
        ...


def hold_out(stems: Sequence[str], share: float, seed: int) -> frozenset[str]:
    """Return the stems held out for validation.

    The stems are sorted, shuffled by ``random.Random(seed)``, and the first ``round(share * n)``,
    at least one, are held out: the same for any order of the file system.
    """
    shuffled = sorted(stems)
    random.Random(seed).shuffle(shuffled)
    return frozenset(shuffled[: max(1, round(share * len(shuffled)))])


def _normalised(images: NDArray[np.uint8], masks: NDArray[np.uint8]) -> tuple[Tensor, Tensor]:
    """Turn uint8 ``[N, S, S, 3]`` and 0/1 ``[N, S, S]`` into float32 NCHW input and target."""
    mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    # One multiply and add per value, in place, on the NHWC layout that training keeps.
    batch = torch.from_numpy(images).float().mul_(1.0 / (255.0 * std)).sub_(mean / std)
    target = torch.from_numpy(masks).float()
    return batch.permute(0, 3, 1, 2), target.unsqueeze(1)


@dataclass(frozen=True)
class TrainSamples:
    """Random crops and flips of all ``pairs``."""

    pairs: ArrayPairs
    augmentation: AugmentationConfig

    def __len__(self) -> int:
        return len(self.pairs)

    def batch(self, items: Sequence[int], streams: BatchStreams) -> tuple[Tensor, Tensor]:
        """Return input float32 ``[N, 3, S, S]`` and target float32 ``[N, 1, S, S]`` of 0 and 1."""
        side = self.augmentation.crop
        images = np.empty((len(items), side, side, 3), np.uint8)
        masks = np.empty((len(items), side, side), np.uint8)
        for row, (item, stream) in enumerate(zip(items, streams, strict=True)):
            image, mask = self.pairs.image(item), self.pairs.mask(item)
            top = int(stream.integers(0, image.shape[0] - side + 1))
            left = int(stream.integers(0, image.shape[1] - side + 1))
            step = -1 if stream.random() < self.augmentation.flip_probability else 1
            images[row] = image[top : top + side, left : left + side][:, ::step]
            masks[row] = mask[top : top + side, left : left + side][:, ::step]
        return _normalised(images, masks)


@dataclass(frozen=True)
class ValSamples:
    """Centre crops of all ``pairs``, the same every time."""

    pairs: ArrayPairs
    size: int

    def __len__(self) -> int:
        return len(self.pairs)

    def batch(self, items: Sequence[int], streams: BatchStreams) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Return input float32 ``[N, 3, S, S]`` and target float32 ``[N, 1, S, S]`` of 0 and 1."""
        images = np.empty((len(items), self.size, self.size, 3), np.uint8)
        masks = np.empty((len(items), self.size, self.size), np.uint8)
        for row, item in enumerate(items):
            image, mask = self.pairs.image(item), self.pairs.mask(item)
            top, left = ((length - self.size) // 2 for length in mask.shape)
            images[row] = image[top : top + self.size, left : left + self.size]
            masks[row] = mask[top : top + self.size, left : left + self.size]
        return _normalised(images, masks)


def load_splits(config: SaliencyConfig, progress: StageProgress) -> DataSplits:
    """Return the training and validation samples, from folders or from the embedded corpus.

    Raises:
        ConfigError, DataError: the folders are missing, hold no pair, or too few of them.
    """
    return _embedded_splits(config) if config.data.root is None else _folder_splits(config, progress)


def _split_text(config: SaliencyConfig) -> str:
    return (
        f"stems sorted, shuffled with seed {config.validation.seed}, "
        f"the first {config.validation.share:.0%} held out"
    )


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
    train = [index for index, stem in enumerate(scenes.stems) if stem not in held]
    val = [index for index, stem in enumerate(scenes.stems) if stem in held]
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
        synthetic=True,
    )
    return DataSplits(
        TrainSamples(_Subset(scenes, tuple(train)), config.augmentation),
        ValSamples(_Subset(scenes, tuple(val)), size),
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
    train = [pair for pair in inspection.kept if pair.stem not in held]
    val = [pair for pair in inspection.kept if pair.stem in held]
    if not train or not val:
        raise ConfigError(
            str(config.data.root),
            expected="at least one pair to train on and one to validate",
            found=f"{len(train)} and {len(val)}",
            next_step="add pairs or change validation.share",
        )

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
    )
    return DataSplits(
        TrainSamples(train_pairs, config.augmentation),
        ValSamples(val_pairs, config.validation.size),
        provenance,
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
