"""The one exception family a user may meet, and the exit code of each kind.

Exit codes: 0 done, 1 failed, 2 usage or config, 3 quality gate not met.
"""

from __future__ import annotations

import functools
from typing import Any

__all__ = [
    "ConfigError",
    "ContractError",
    "DataError",
    "DivergenceError",
    "GateError",
    "PublishError",
    "VmafTrainError",
]


class VmafTrainError(Exception):
    """A failure that a user can act on, told in one line.

    Args:
        thing: what is wrong (a file, key, model or step), named exactly.
        expected: what would have been right.
        found: what was there instead.
        next_step: what to do now.
    """

    exit_code = 1

    def __init__(self, thing: str, *, expected: str, found: str, next_step: str) -> None:
        self.thing = thing
        self.expected = expected
        self.found = found
        self.next_step = next_step
        super().__init__(thing, expected, found, next_step)

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker process sends its exception home as a pickle; the default form forgets the keywords.
        build = functools.partial(
            type(self), expected=self.expected, found=self.found, next_step=self.next_step
        )
        return build, (self.thing,)

    def __str__(self) -> str:
        text = f"{self.thing}: expected {self.expected}, found {self.found}; {self.next_step}"
        return " ".join(text.split())


class ConfigError(VmafTrainError):
    """A config, a command line or an environment that cannot lead to a model."""

    exit_code = 2


class DataError(VmafTrainError):
    """Training or test data that is missing, unreadable or inconsistent."""


class DivergenceError(VmafTrainError):
    """A non-finite loss, gradient, weight or metric during training."""


class ContractError(VmafTrainError):
    """A model file that breaks the runtime's contract: ops, names, axes, opset, parity."""


class PublishError(VmafTrainError):
    """A registry or model folder that is damaged, locked or cannot be written."""


class GateError(VmafTrainError):
    """A quality gate without proof that it was met."""

    exit_code = 3
