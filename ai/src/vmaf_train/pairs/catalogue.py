"""The corpora that this project knows: size, terms, citation, and where one was pinned, its archive."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from vmaf_train.errors import ConfigError

__all__ = ["CATALOGUE", "Archive", "Corpus", "corpus"]

_DUTS = "Wang et al., Learning to Detect Salient Objects with Image-Level Supervision, CVPR 2017 (DUTS)"


@dataclass(frozen=True)
class Archive:
    """One downloadable file whose bytes are known.

    Attributes:
        url: its http or https address.
        sha256: of the file, lower-case hex.
        size: in bytes; None where it is not known.
        last_modified: the day that its server gave, ``YYYY-MM-DD``; None where it is not known.
    """

    url: str
    sha256: str
    size: int | None
    last_modified: str | None = None


@dataclass(frozen=True)
class Corpus:
    """One set of pictures and truth masks.

    Attributes:
        name: as ``data fetch`` takes it and as ``find_pairs`` names the set.
        folder: the name of the unpacked folder.
        pairs: how many pairs its authors published.
        layout: a name of ``layouts.LAYOUTS``.
        use: what it serves for here.
        terms: the terms under which its authors distribute it, as published.
        citation: what to cite.
        archive: the pinned archive; None where no digest is known.
    """

    name: str
    folder: str
    pairs: int
    layout: str
    use: str
    terms: str
    citation: str
    archive: Archive | None = None


_ALL = (
    Corpus(
        name="duts-tr",
        folder="DUTS-TR",
        pairs=10_553,
        layout="duts",
        use="training, with 5 % held out for validation",
        terms="free for academic research",
        citation=_DUTS,
        archive=Archive(
            url="https://saliencydetection.net/duts/download/DUTS-TR.zip",
            sha256="ce61e023c8f59d022b4d46981cf16813b83d089242e6489a45630d83962ea058",
            size=270_997_309,
            last_modified="2025-03-10",
        ),
    ),
    Corpus(
        name="duts-te",
        folder="DUTS-TE",
        pairs=5_019,
        layout="duts",
        use="external test",
        terms="free for academic research",
        citation=_DUTS,
    ),
    Corpus(
        name="ecssd",
        folder="ECSSD",
        pairs=1_000,
        layout="ecssd",
        use="external test, never trained on",
        terms="free for research",
        citation="Yan et al., CVPR 2013 (ECSSD)",
    ),
    Corpus(
        name="hku-is",
        folder="HKU-IS",
        pairs=4_447,
        layout="hku_is",
        use="held in reserve",
        terms="not stated here; ask its authors",
        citation="Li and Yu, CVPR 2015 (HKU-IS)",
    ),
    Corpus(
        name="msra10k",
        folder="MSRA10K",
        pairs=10_000,
        layout="msra10k",
        use="optional extra training data",
        terms="free for research",
        citation="Cheng et al., 2014 (MSRA10K)",
    ),
    Corpus(
        name="sod",
        folder="SOD",
        pairs=300,
        layout="sod",
        use="external test",
        terms="not stated here; ask its authors",
        citation="Movahedi and Elder, 2010 (SOD)",
    ),
)

CATALOGUE: dict[str, Corpus] = {entry.name: entry for entry in _ALL}
"""Every known corpus by its name, which is also the set's name in a listing."""


def corpus(name: str) -> Corpus:
    """Return the corpus of that name, whatever its case.

    Raises:
        ConfigError: unknown; names the known ones.
    """
    found = CATALOGUE.get(name.lower().replace("_", "-"))
    if found is None:
        near = difflib.get_close_matches(name.lower(), CATALOGUE, n=1)
        raise ConfigError(
            f"corpus {name!r}",
            expected=", ".join(sorted(CATALOGUE)),
            found="no such corpus",
            next_step=f"did you mean {near[0]}?" if near else "choose one of these",
        )
    return found
