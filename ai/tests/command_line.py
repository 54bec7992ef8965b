"""A command line as the installed script runs it, and how it answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Answer:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class Told(Protocol):
    def __call__(self, *words: object) -> Answer: ...
