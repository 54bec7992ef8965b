"""The embedded corpus: the same for the same seed, varied, and true."""

from __future__ import annotations

import numpy as np
import pytest

from vmaf_train.errors import ConfigError
from vmaf_train.tasks.saliency_student.corpus import EmbeddedPairs, draw_scene


def test_a_scene_is_a_function_of_seed_number_and_size() -> None:
    first, again = draw_scene(7, 3, 48, 64), draw_scene(7, 3, 48, 64)
    assert all(np.array_equal(left, right) for left, right in zip(first, again, strict=True))
    assert not np.array_equal(first[0], draw_scene(8, 3, 48, 64)[0])
    assert not np.array_equal(first[0], draw_scene(7, 4, 48, 64)[0])


def test_a_longer_corpus_begins_with_the_shorter_one() -> None:
    short, long = EmbeddedPairs(3, 7, 24), EmbeddedPairs(5, 7, 24)
    assert all(np.array_equal(short.image(i), long.image(i)) for i in range(3))
    assert short.digest() != long.digest()
    assert short.digest() == EmbeddedPairs(3, 7, 24).digest()


def test_scenes_vary_in_size_number_and_emptiness() -> None:
    pairs = EmbeddedPairs(200, 7, 32)
    shares = np.array([pairs.mask(i).mean() for i in range(200)])
    assert 0.01 < (shares == 0).mean() < 0.15
    assert (shares > 0.3).mean() > 0.05
    assert ((shares > 0) & (shares < 0.05)).mean() > 0.05


def test_objects_differ_from_their_ground_and_masks_are_zero_and_one() -> None:
    pairs = EmbeddedPairs(60, 7, 32)
    apart = []
    for i in range(60):
        mask, image = pairs.mask(i).astype(bool), pairs.image(i).astype(float)
        assert set(np.unique(pairs.mask(i))) <= {0, 1}
        if mask.any() and not mask.all():
            apart.append(np.abs(image[mask].mean(0) - image[~mask].mean(0)).max())
    assert np.median(apart) > 20


def test_scenes_that_do_not_fit_into_memory_are_refused_before_they_are_drawn() -> None:
    with pytest.raises(ConfigError, match=r"half of this machine's memory.*; lower data.embedded.pairs"):
        EmbeddedPairs(1_000_000, 7, 4096)
