"""JSON that every reader reads alike."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["MAX_DEPTH", "require_strict_json", "texts_in"]

MAX_DEPTH = 32
"""Objects and arrays that may be open at once; core/src/dnn/json_reader.h says the same."""


def require_strict_json(text: str) -> None:
    """Refuse JSON that not every reader reads alike, or that the C loader does not take.

    Raises:
        ValueError: no JSON, NaN, a key that stands twice, a NUL in a text, nesting beyond
            ``MAX_DEPTH``, or CRLF line ends.
        RecursionError: it is nested too deep.
    """

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is no JSON number")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key, value in pairs:
            if key in values:
                raise ValueError(f"key {key!r} stands twice")
            values[key] = value
        return values

    # A line feed inside a text is escaped, so this can only be a rewritten line end.
    if "\r" in text:
        raise ValueError("CRLF line ends, so something rewrote this file, and perhaps the models beside it")
    value = json.loads(text, parse_constant=refuse, object_pairs_hook=once)
    if any("\0" in item for item in texts_in(value)):
        raise ValueError("a NUL in a text")
    if (depth := _depth(value)) > MAX_DEPTH:
        raise ValueError(f"{depth} levels of nesting, more than {MAX_DEPTH}")


def _depth(value: Any) -> int:
    """Return how many objects and arrays are open at once at most."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)


def texts_in(value: object) -> Iterator[str]:
    """Yield every text in nested mappings and sequences, keys too; what is neither holds none."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from (text for pair in value.items() for item in pair for text in texts_in(item))
    elif isinstance(value, list | tuple):
        yield from (text for item in value for text in texts_in(item))
