"""Digests, atomic writes, strict JSON and the packaged resources: the only copies of each."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vmaf_train.errors import ConfigError, PublishError

__all__ = [
    "clear_unfinished",
    "dump_json",
    "flush",
    "link_atomic",
    "names_digest",
    "nearest_standing",
    "read_inputs",
    "require_outputs",
    "require_writable",
    "resource",
    "sha256_bytes",
    "sha256_file",
    "write_atomic",
]

_PACKAGE = Path(__file__).resolve().parent


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def names_digest(names: Iterable[str]) -> str:
    """Return the SHA-256 over a set of names, in any order, as 64 lower-case hex digits."""
    return sha256_bytes(json.dumps(sorted(names)).encode())


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of the file's bytes as 64 lower-case hex digits.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def dump_json(value: Any) -> str:
    """Return ``value`` as indented JSON that every strict reader accepts, with a final newline.

    Raises:
        ValueError: a NaN or an infinity is inside; JSON has no such numbers, so the caller
            must decide what they mean before writing.
    """
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_atomic(path: Path, data: bytes | str) -> None:
    """Put ``data`` at ``path`` so that a reader sees the old file or the new one, never a part.

    A temporary file in the same folder is written, flushed to the disk, given the mode a plain
    ``open`` would give it, and renamed over ``path``; then the folder entry is flushed too.

    Raises:
        PublishError: the folder cannot be made or written, or the disk is full. ``path`` is
            then what it was before.
    """
    payload = data.encode() if isinstance(data, str) else data
    temporary: str | None = None
    try:
        if _is_special(path):
            raise OSError("a device or a pipe")
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        with os.fdopen(handle, "wb") as stream:
            stream.write(payload)
            stream.flush()
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
        temporary = None
        flush(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def link_atomic(source: Path, path: Path) -> None:
    """Put the file ``source`` at ``path`` too, as :func:`write_atomic` would put its bytes.

    Where both lie on one file system that has hard links, this takes no room for the bytes, so
    that a full disk cannot stop it; elsewhere they are copied.

    Raises:
        PublishError: the folder cannot be written, or the disk is full. ``path`` is then what it was.
    """
    temporary = path.with_name(f".{path.name}.link.tmp")
    try:
        temporary.unlink(missing_ok=True)
        os.link(source, temporary, follow_symlinks=False)
    except OSError:
        write_atomic(path, source.read_bytes())
        return
    try:
        temporary.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        # Where both are one file already, a rename does nothing and leaves the second name.
        temporary.unlink(missing_ok=True)
    flush(path.parent)


def flush(path: Path) -> None:
    """Wait until what a file or folder holds is on the disk.

    Raises:
        OSError: it is not there, or the disk fails.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(path: Path, error: OSError) -> PublishError:
    return PublishError(
        str(path),
        expected="a file that can be written",
        found=error.strerror or str(error),
        next_step="free the disk or choose a folder that you may write",
    )


def _is_special(path: Path) -> bool:
    """Return whether a rename would put a file in the place of a device, a pipe or a descriptor."""
    folder = Path(os.path.realpath(path.parent))
    odd = path.exists() and not path.is_file() and not path.is_dir()
    return odd or folder == Path("/dev") or folder.is_relative_to("/proc")


def nearest_standing(path: Path) -> Path:
    """Return ``path`` or the nearest of its parents that exists."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def require_writable(option: str, path: Path, *, folder: bool = False) -> None:
    """Refuse an output that could not be written when the work is done.

    Args:
        option: what names it on the command line, for the message.
        path: the file, or with ``folder`` the folder, that will be written; neither need exist.
        folder: whether it is a folder.

    Raises:
        ConfigError: it is of another kind, or the nearest folder that exists takes no files.
    """
    standing = nearest_standing(path if folder else path.parent)
    special = not folder and _is_special(path)
    other = special or (path.exists() and path.is_dir() != folder)
    if other or not standing.is_dir() or not os.access(standing, os.W_OK | os.X_OK):
        kind = "a device or a pipe" if special else "a file" if folder else "a folder"
        raise ConfigError(
            option,
            expected=f"a {'folder' if folder else 'file'} that can be written",
            found=f"{path}, {kind}" if other else f"{standing}, which cannot hold it",
            next_step="give another name",
        )


def require_outputs(
    outputs: Iterable[tuple[str, Path]], inputs: Mapping[Path, str], *, folder: bool = False
) -> None:
    """Refuse outputs that could not be written, or of which one would replace another or an input.

    Args:
        outputs: option and file, in the order of the command line.
        inputs: what the command reads, and what a message says of it.
        folder: whether the outputs are folders.

    Raises:
        ConfigError: as said, for the first of them.
    """
    kind = "folder" if folder else "file"
    taken = {os.path.realpath(path): told for path, told in inputs.items()}
    for option, path in outputs:
        require_writable(option, path, folder=folder)
        place = os.path.realpath(path)
        if place in taken:
            raise ConfigError(
                option,
                expected=f"a {kind} of its own",
                found=taken[place],
                next_step=f"give another {'folder' if folder else 'name'}",
            )
        taken[place] = f"the {kind} of {option}"


def read_inputs(paths: Iterable[Path]) -> dict[Path, str]:
    """Return files that a command reads as :func:`require_outputs` takes them."""
    return {path: f"{path}, which is read" for path in paths}


def clear_unfinished(path: Path) -> None:
    """Remove the temporary files that a killed :func:`write_atomic` left beside ``path``.

    Only for a caller that knows that nobody else writes ``path`` now.

    Raises:
        OSError: one of them cannot be removed.
    """
    if path.parent.is_dir():
        for entry in path.parent.iterdir():
            if entry.name.startswith(f".{path.name}.") and entry.suffix == ".tmp":
                entry.unlink(missing_ok=True)


def resource(name: str, *in_checkout: str) -> Path:
    """Return the path of a packaged resource: in a wheel ``resources/NAME``, else in the checkout.

    Args:
        name: the resource's name inside an installed package.
        in_checkout: its place below the root of a source checkout, part by part.

    Raises:
        ConfigError: neither is there.
    """
    checkout = _PACKAGE.parents[2]
    candidates = [_PACKAGE / "resources" / name, checkout.joinpath(*in_checkout)]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    raise ConfigError(
        name,
        expected="a file that ships with vmaf_train",
        found="nothing at " + " or ".join(str(candidate) for candidate in candidates),
        next_step="install vmaf-train again",
    )
