"""One archive from the network to a folder: the whole of it, as pinned, or nothing."""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from vmaf_train.errors import ConfigError, DataError
from vmaf_train.files import dump_json
from vmaf_train.pairs.catalogue import Archive, Corpus, corpus
from vmaf_train.pairs.listing import find_pairs, printable
from vmaf_train.pairs.unpack import MAX_UNPACKED_BYTES, unpack

__all__ = ["MAX_ARCHIVE_BYTES", "Fetched", "fetch_corpus"]

MAX_ARCHIVE_BYTES = 8 << 30
"""A download without a pinned size stops here."""

_RECEIPT = ".fetched.json"
_CHUNK = 1 << 18
_TIMEOUT = 60

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Fetched:
    """A corpus on disk.

    Attributes:
        name: the corpus.
        folder: where it lies; give this as the data root.
        pairs: pairs found in it.
        expected_pairs: pairs its authors published.
        url: where its archive came from.
        sha256: of its archive.
        terms: the terms under which its authors distribute it.
        citation: what to cite.
        downloaded: False when the folder was there already, from the same archive.
    """

    name: str
    folder: Path
    pairs: int
    expected_pairs: int
    url: str
    sha256: str
    terms: str
    citation: str
    downloaded: bool


def fetch_corpus(
    name: str,
    to: Path,
    *,
    url: str | None = None,
    sha256: str | None = None,
    progress: Progress | None = None,
    max_unpacked: int = MAX_UNPACKED_BYTES,
) -> Fetched:
    """Download a corpus, check it against its digest, and unpack it to ``to / FOLDER``.

    The download and the unpacking happen in a hidden folder beside the target, which is renamed
    when everything is right and removed when anything is not.

    Args:
        name: a name of the catalogue.
        to: the folder to put the corpus into; made if it is missing.
        url: an http or https address in place of the catalogue's; needs ``sha256``.
        sha256: the archive's digest, 64 hex digits; needed where the catalogue has none.
        progress: called with bytes received and bytes in all (0 when the server does not say).
        max_unpacked: bytes that the archive may unpack to.

    Raises:
        ConfigError: an unknown name, no digest or address known, or a target that is in use.
        DataError: the download failed, differs from what was pinned, or is not safe to unpack.
    """
    known = corpus(name)
    archive = _archive(known, url, sha256)
    target = to / known.folder
    if target.exists():
        return _already_there(known, archive, target)
    try:
        to.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=to, prefix=f".{known.folder}.") as scratch:
            packed = _download(archive, Path(scratch), progress)
            unpacked = Path(scratch) / "unpacked"
            content = unpack(packed, unpacked, max_bytes=max_unpacked)
            pairs = len(find_pairs(content).pairs)
            (content / _RECEIPT).write_text(dump_json(asdict(archive)))
            content.rename(target)
    except OSError as error:
        raise DataError(
            printable(target),
            expected="a folder that can be written",
            found=error.strerror or str(error),
            next_step="free the disk or choose another folder",
        ) from error
    return _fetched(known, archive, target, pairs, downloaded=True)


def _archive(known: Corpus, url: str | None, sha256: str | None) -> Archive:
    pinned = known.archive
    if url is None and sha256 is None and pinned is not None:
        return pinned
    address = url or (pinned.url if pinned else None)
    if address is None or sha256 is None:
        raise ConfigError(
            f"corpus {known.name}",
            expected="an address and a digest of its archive",
            found="no digest is known" if address else "neither is known",
            next_step=f"give --sha256{'' if address else ' and --url'} as its authors state them "
            f"({known.citation})",
        )
    if len(sha256) != 64 or set(sha256.lower()) - set("0123456789abcdef"):
        raise ConfigError("--sha256", expected="64 hex digits", found=sha256, next_step="correct it")
    if not address.startswith(("http://", "https://")):
        raise ConfigError("--url", expected="an http or https address", found=address, next_step="correct it")
    return Archive(address, sha256.lower(), None)


def _already_there(known: Corpus, archive: Archive, target: Path) -> Fetched:
    try:
        receipt = json.loads((target / _RECEIPT).read_text())
        same = receipt["sha256"] == archive.sha256
    except (OSError, ValueError, KeyError, TypeError):
        same = False
    if not same:
        raise ConfigError(
            printable(target),
            expected="nothing, or this corpus from the same archive",
            found="something else",
            next_step="move it away or choose another folder",
        )
    return _fetched(known, archive, target, len(find_pairs(target).pairs), downloaded=False)


def _fetched(known: Corpus, archive: Archive, target: Path, pairs: int, *, downloaded: bool) -> Fetched:
    return Fetched(
        name=known.name,
        folder=target,
        pairs=pairs,
        expected_pairs=known.pairs,
        url=archive.url,
        sha256=archive.sha256,
        terms=known.terms,
        citation=known.citation,
        downloaded=downloaded,
    )


class _Bounded:
    """A file for pooch's downloader to write to, which stops at a number of bytes."""

    def __init__(self, stream: BinaryIO, url: str, limit: int, progress: Callable[[int], None]) -> None:
        self._stream, self._url, self._limit, self._progress = stream, url, limit, progress
        self.written = 0

    def write(self, chunk: bytes) -> int:
        self.written += len(chunk)
        if self.written > self._limit:
            raise DataError(
                self._url,
                expected=f"at most {self._limit} bytes",
                found="more",
                next_step="check the address, and that the pinned size is still right",
            )
        self._progress(self.written)
        return self._stream.write(chunk)

    def flush(self) -> None:
        """Leave flushing to the end."""


class _Meter:
    """What pooch calls a progress bar; ``total`` is set from the server's Content-Length."""

    total = 0

    def update(self, _: int) -> None:
        """Ignore steps: the bytes written are counted instead."""

    def reset(self) -> None:
        """Ignore the end."""

    def close(self) -> None:
        """Ignore the end."""


def _download(archive: Archive, folder: Path, progress: Progress | None) -> Path:
    try:
        import pooch  # type: ignore[import-untyped]
        import requests
    except ImportError as error:
        raise ConfigError(
            "data fetch",
            expected="the package pooch",
            found="it is not installed",
            next_step="pip install 'vmaf-train[fetch]'",
        ) from error
    pooch.get_logger().setLevel(logging.WARNING)
    meter = _Meter()
    to_file = pooch.HTTPDownloader(progressbar=meter, chunk_size=_CHUNK, timeout=_TIMEOUT)

    def told(received: int) -> None:
        if progress is not None:
            progress(received, meter.total)

    def bounded(url: str, output: str, manager: object) -> None:
        with Path(output).open("wb") as stream:
            to_file(url, _Bounded(stream, url, archive.size or MAX_ARCHIVE_BYTES, told), manager)
        received = Path(output).stat().st_size
        if archive.size is not None and received != archive.size:
            raise ValueError(f"{received} bytes of {archive.size}")

    try:
        return Path(
            pooch.retrieve(
                archive.url,
                known_hash=f"sha256:{archive.sha256}",
                fname="archive.zip",
                path=folder,
                downloader=bounded,
            )
        )
    except (requests.RequestException, ValueError) as error:
        raise DataError(
            archive.url,
            expected=f"an archive with SHA-256 {archive.sha256}",
            found=str(error),
            next_step="nothing was kept; try again, and ask the corpus's authors if the digest changed",
        ) from error
