from __future__ import annotations

import pytest

from vmaf_train.errors import ConfigError
from vmaf_train.pairs import CATALOGUE, corpus
from vmaf_train.pairs.layouts import LAYOUTS


def test_every_entry_names_a_known_layout_its_terms_and_what_to_cite() -> None:
    for name, entry in CATALOGUE.items():
        assert entry.name == name
        assert entry.layout in LAYOUTS
        assert entry.terms
        assert entry.citation
        assert entry.pairs > 0


def test_a_pinned_archive_is_pinned_in_full() -> None:
    pinned = [entry.archive for entry in CATALOGUE.values() if entry.archive is not None]
    assert pinned
    for archive in pinned:
        assert archive.url.startswith("https://")
        assert len(bytes.fromhex(archive.sha256)) == 32
        assert archive.size


def test_a_set_found_by_its_layout_carries_a_name_of_the_catalogue() -> None:
    fixed = {layout.set_name for layout in LAYOUTS.values() if layout.set_name}
    assert fixed <= CATALOGUE.keys()


def test_names_are_forgiving_about_case_and_underscores_and_strict_otherwise() -> None:
    assert corpus("DUTS_TR") is CATALOGUE["duts-tr"]
    with pytest.raises(ConfigError, match=r"did you mean ecssd\?"):
        corpus("ecsd")
