"""YAML as config files and command lines mean it: safe, each key once, 1e-3 a number."""

from __future__ import annotations

import re
from typing import Any

import yaml

from vmaf_train.errors import ConfigError

__all__ = ["dump_yaml", "parse_yaml"]

_MERGE_TAG = "tag:yaml.org,2002:merge"


class _StrictLoader(yaml.SafeLoader):
    """A safe YAML loader that refuses a key given twice instead of keeping the last."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._checked: set[int] = set()

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge ``<<`` keys into ``node``; before that, refuse a key that it states twice itself."""
        # A merged mapping comes by once more, then with the keys that it took over.
        if id(node) not in self._checked:
            self._checked.add(id(node))
            keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != _MERGE_TAG]
            for key in keys:
                if keys.count(key) > 1:
                    raise yaml.constructor.ConstructorError(None, None, f"key {key!r} twice", node.start_mark)
        super().flatten_mapping(node)


class _ClearDumper(yaml.SafeDumper):
    """A safe YAML dumper that quotes every text that some YAML reader takes for a number."""


# YAML 1.1 takes 1e-3 for a text; people who set a learning rate mean a number, and so does YAML 1.2.
_FLOAT = re.compile(r"^[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$")
for _form in (_StrictLoader, _ClearDumper):
    _form.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789"))
_ClearDumper.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^0o[0-7]+$"), ["0"])


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


def dump_yaml(value: Any) -> str:
    """Return plain data as YAML in its own order; every text reads back as a text anywhere."""
    return yaml.dump(value, Dumper=_ClearDumper, sort_keys=False, allow_unicode=True, width=1000)
