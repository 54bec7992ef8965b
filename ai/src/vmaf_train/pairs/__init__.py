"""Image and mask pairs: find, decode, inspect, cache, compare, show and fetch them.

Names load on first use, so that importing a light member does not import numpy or Pillow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vmaf_train.pairs.cache import (
        CacheEntry,
        DecodedPairs,
        cache_entries,
        clear_cache,
        decoded_cache,
        default_cache_dir,
    )
    from vmaf_train.pairs.decode import MASK_THRESHOLD, decode_image, decode_mask, short_side_size
    from vmaf_train.pairs.facts import Finding
    from vmaf_train.pairs.inspection import (
        MAX_ASPECT,
        Dropped,
        DropReason,
        Inspection,
        data_digest,
        inspect_pairs,
    )
    from vmaf_train.pairs.listing import Listing, Pair, find_pairs, join_sets

__all__ = [
    "MASK_THRESHOLD",
    "MAX_ASPECT",
    "CacheEntry",
    "DecodedPairs",
    "DropReason",
    "Dropped",
    "Finding",
    "Inspection",
    "Listing",
    "Pair",
    "cache_entries",
    "clear_cache",
    "data_digest",
    "decode_image",
    "decode_mask",
    "decoded_cache",
    "default_cache_dir",
    "find_pairs",
    "inspect_pairs",
    "join_sets",
    "short_side_size",
]

_MEMBERS = {
    "cache": (
        "CacheEntry",
        "DecodedPairs",
        "cache_entries",
        "clear_cache",
        "decoded_cache",
        "default_cache_dir",
    ),
    "decode": ("MASK_THRESHOLD", "decode_image", "decode_mask", "short_side_size"),
    "facts": ("Finding",),
    "inspection": ("MAX_ASPECT", "DropReason", "Dropped", "Inspection", "data_digest", "inspect_pairs"),
    "listing": ("Listing", "Pair", "find_pairs", "join_sets"),
}
_HOME = {name: module for module, names in _MEMBERS.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
