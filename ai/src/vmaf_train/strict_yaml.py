"""YAML as config files and command lines mean it: safe, each key once, 1e-3 a number."""

from __future__ import annotations

import re
from typing import Any

import yaml

from vmaf_train.errors import ConfigError

__all__ = ["parse_yaml"]


class _StrictLoader(yaml.SafeLoader):
    """A safe YAML loader that refuses a key given twice instead of keeping the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return the mapping of ``node``, refusing a repeated key."""
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} twice", node.start_mark)
        return super().construct_mapping(node, deep)


# YAML 1.1 takes 1e-3 for a text; people who set a learning rate mean a number.
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def parse_yaml(text: str, name: str) -> Any:
    """Return the one document in ``text``; ``name`` says in an error where it stood.

    Raises:
        ConfigError: it is no valid YAML, or a mapping holds a key twice.
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        raise ConfigError(
            name, expected="valid YAML", found=str(error), next_step="correct the text there"
        ) from error
