"""JSON that every reader reads alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

__all__ = ["require_strict_json"]


def require_strict_json(text: str) -> None:
    """Refuse JSON that not every reader reads alike, or that the C loader does not take.

    Raises:
        ValueError: no JSON, NaN, a key that stands twice, a NUL in a text, or CRLF line ends.
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
    if any("\0" in item for item in _texts(value)):
        raise ValueError("a NUL in a text")


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in parsed JSON, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
