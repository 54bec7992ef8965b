"""Image and mask pairs: find, decode, inspect, cache, compare, show and fetch them.

Names load on first use, so that importing a light member does not import numpy or Pillow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vmaf_train.pairs.cache import decoded_cache
    from vmaf_train.pairs.catalogue import CATALOGUE, Archive, Corpus, corpus
    from vmaf_train.pairs.decode import MASK_THRESHOLD, decode_image, decode_mask, short_side_size
    from vmaf_train.pairs.decoded import DecodedPairs
    from vmaf_train.pairs.entries import CacheEntry, cache_entries, clear_cache
    from vmaf_train.pairs.facts import Finding
    from vmaf_train.pairs.fetch import Fetched, fetch_corpus
    from vmaf_train.pairs.inspection import (
        MAX_ASPECT,
        Dropped,
        DropReason,
        Inspection,
        data_digest,
        inspect_pairs,
        require_clean,
    )
    from vmaf_train.pairs.leakage import Leak, find_leaks
    from vmaf_train.pairs.listing import Listing, Pair, find_pairs, join_sets
    from vmaf_train.pairs.places import default_cache_dir, findings_path
    from vmaf_train.pairs.reports import cache_table, inspection_dict, inspection_table
    from vmaf_train.pairs.sheet import contact_sheet

__all__ = [
    "CATALOGUE",
    "MASK_THRESHOLD",
    "MAX_ASPECT",
    "Archive",
    "CacheEntry",
    "Corpus",
    "DecodedPairs",
    "DropReason",
    "Dropped",
    "Fetched",
    "Finding",
    "Inspection",
    "Leak",
    "Listing",
    "Pair",
    "cache_entries",
    "cache_table",
    "clear_cache",
    "contact_sheet",
    "corpus",
    "data_digest",
    "decode_image",
    "decode_mask",
    "decoded_cache",
    "default_cache_dir",
    "fetch_corpus",
    "find_leaks",
    "find_pairs",
    "findings_path",
    "inspect_pairs",
    "inspection_dict",
    "inspection_table",
    "join_sets",
    "require_clean",
    "short_side_size",
]

_MEMBERS = {
    "cache": ("decoded_cache",),
    "decoded": ("DecodedPairs",),
    "entries": ("CacheEntry", "cache_entries", "clear_cache"),
    "catalogue": ("CATALOGUE", "Archive", "Corpus", "corpus"),
    "decode": ("MASK_THRESHOLD", "decode_image", "decode_mask", "short_side_size"),
    "facts": ("Finding",),
    "fetch": ("Fetched", "fetch_corpus"),
    "inspection": (
        "MAX_ASPECT",
        "DropReason",
        "Dropped",
        "Inspection",
        "data_digest",
        "inspect_pairs",
        "require_clean",
    ),
    "leakage": ("Leak", "find_leaks"),
    "listing": ("Listing", "Pair", "find_pairs", "join_sets"),
    "places": ("default_cache_dir", "findings_path"),
    "reports": ("cache_table", "inspection_dict", "inspection_table"),
    "sheet": ("contact_sheet",),
}
_HOME = {name: module for module, names in _MEMBERS.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
