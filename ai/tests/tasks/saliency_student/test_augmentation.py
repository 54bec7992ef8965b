"""Random boxes and colours: one geometry for picture and truth, and no more change than is asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vmaf_train.loader import sample_stream
from vmaf_train.tasks.saliency_student.augmentation import colour_change, cropped, recolour
from vmaf_train.tasks.saliency_student.config import AugmentationConfig, ColourConfig, ResizedCropConfig
from vmaf_train.tasks.saliency_student.corpus import EmbeddedPairs
from vmaf_train.tasks.saliency_student.samples import TrainSamples

STRONG = ColourConfig(brightness=0.4, contrast=0.4, saturation=0.5, grey_probability=0.2)


def resized(min_area: float = 0.4, max_stretch: float = 1.33, flip: float = 0.5) -> AugmentationConfig:
    box = ResizedCropConfig(min_area=min_area, max_stretch=max_stretch)
    return AugmentationConfig(short_side=64, crop=32, flip_probability=flip, resized_crop=box)


def disc_picture(height: int = 64, width: int = 96) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.mgrid[:height, :width]
    mask = ((rows - 30) ** 2 + (columns - 40) ** 2 < 20**2).astype(np.uint8)
    image = np.repeat(mask[..., None] * 255, 3, axis=2)
    for plane in (image, mask):  # as the decoded cache gives them
        plane.flags.writeable = False
    return image, mask


@pytest.mark.parametrize("draw", range(8))
def test_a_resized_crop_gives_picture_and_truth_the_same_geometry(draw: int) -> None:
    image, mask = cropped(*disc_picture(), resized(), sample_stream(0, 1, draw))
    assert image.shape == (32, 32, 3)
    assert mask.shape == (32, 32)
    assert set(np.unique(mask)) <= {0, 1}
    # The picture is filtered and its middle value is where the truth turns.
    assert np.array_equal(image[..., 0] >= 128, mask == 1)


@pytest.mark.parametrize("draw", range(8))
def test_a_blank_has_no_content_and_an_empty_truth(draw: int) -> None:
    config = resized().model_copy(update={"blank_probability": 1.0})
    image, mask = cropped(*disc_picture(), config, sample_stream(0, 1, draw))
    assert (image.shape, mask.shape) == ((32, 32, 3), (32, 32))
    assert image.dtype == mask.dtype == np.uint8
    assert not mask.any()
    for axis in (0, 1):
        steps = np.diff(image.astype(int), axis=axis).reshape(-1, 3)
        assert (np.ptp(steps, axis=0) <= 1).all(), "an even ramp, but for rounding"


def test_blanks_are_flat_or_not_and_grey_or_not() -> None:
    config = resized().model_copy(update={"blank_probability": 1.0})
    blanks = [cropped(*disc_picture(), config, sample_stream(0, 1, draw))[0] for draw in range(40)]
    flat = [bool((image == image[0, 0]).all()) for image in blanks]
    grey = [bool((image == image[..., :1]).all()) for image in blanks]
    assert {*flat} == {*grey} == {True, False}


def test_as_many_pictures_are_blank_as_is_asked_for_and_the_others_follow_their_streams() -> None:
    some = resized().model_copy(update={"blank_probability": 0.25})
    found = [cropped(*disc_picture(), some, sample_stream(0, 1, draw)) for draw in range(200)]
    assert 30 <= sum(not mask.any() for _, mask in found) <= 70
    stream = sample_stream(0, 1, 0)
    image, mask = cropped(*disc_picture(), resized(), stream)
    again = cropped(
        *disc_picture(), resized().model_copy(update={"blank_probability": 0.0}), sample_stream(0, 1, 0)
    )
    assert np.array_equal(image, again[0])
    assert np.array_equal(mask, again[1])


def test_the_whole_picture_without_stretch_is_only_resized() -> None:
    image, mask = cropped(*disc_picture(), resized(1.0, 1.0, 0.0), sample_stream(0, 1, 0))
    again, _ = cropped(*disc_picture(), resized(1.0, 1.0, 0.0), sample_stream(5, 9, 3))
    assert np.array_equal(image, again)
    assert mask.mean() == pytest.approx(disc_picture()[1].mean(), abs=0.02)


def test_boxes_have_at_least_the_least_area() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    mask = np.ones((100, 100), np.uint8)
    mask[:, :1] = 0  # one column in a hundred: seen only where the box reaches the edge
    kept = [cropped(image, mask, resized(0.9, 1.0), sample_stream(0, 1, i))[1].shape for i in range(20)]
    assert set(kept) == {(32, 32)}


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3, 200)])
def test_the_smallest_and_longest_pictures_are_taken(shape: tuple[int, int]) -> None:
    image, mask = np.full((*shape, 3), 7, np.uint8), np.ones(shape, np.uint8)
    found, truth = cropped(image, mask, resized(0.1, 4.0), sample_stream(0, 1, 0))
    assert (found == 7).all()
    assert (truth == 1).all()


def test_no_change_of_colour_is_the_identity() -> None:
    matrix, offset = colour_change(ColourConfig(), 0.3, np.random.default_rng(0))
    assert np.allclose(matrix, np.eye(3))
    assert np.allclose(offset, 0.0)


def test_taking_the_colour_away_leaves_grey_of_the_same_luma() -> None:
    images = torch.tensor([0.8, 0.2, 0.4]).expand(1, 2, 2, 3).contiguous()
    grey = recolour(images, ColourConfig(grey_probability=1.0), [np.random.default_rng(0)])
    wanted = 0.2126 * 0.8 + 0.7152 * 0.2 + 0.0722 * 0.4
    assert torch.allclose(grey, torch.full_like(grey, wanted), atol=1e-6)


def test_contrast_keeps_the_mean_grey_and_saturation_keeps_each_grey() -> None:
    images = torch.rand(4, 8, 8, 3, generator=torch.Generator().manual_seed(0)) * 0.2 + 0.4
    luma = torch.tensor((0.2126, 0.7152, 0.0722))
    streams = [np.random.default_rng(i) for i in range(4)]
    found = recolour(images, ColourConfig(contrast=0.3), streams)
    assert torch.allclose((found @ luma).mean((1, 2)), (images @ luma).mean((1, 2)), atol=1e-5)
    assert not torch.allclose(found, images, atol=1e-3)
    found = recolour(images, ColourConfig(saturation=0.3), [np.random.default_rng(i) for i in range(4)])
    assert torch.allclose(found @ luma, images @ luma, atol=1e-5)


def test_changed_colours_stay_colours_and_differ_between_samples() -> None:
    images = torch.rand(1, 8, 8, 3, generator=torch.Generator().manual_seed(0)).expand(6, -1, -1, -1)
    found = recolour(images.contiguous(), STRONG, [sample_stream(0, 1, i) for i in range(6)])
    assert found.min() >= 0.0
    assert found.max() <= 1.0
    assert len({round(float(picture.sum()), 3) for picture in found}) == 6


def test_a_batch_is_a_function_of_its_streams_alone() -> None:
    config = resized().model_copy(update={"colour": STRONG})
    samples = TrainSamples(EmbeddedPairs(6, 7, 64), config)

    def drawn(items: list[int]) -> torch.Tensor:
        return samples.batch(items, [sample_stream(3, 2, item) for item in items])[0]

    together = drawn([0, 1, 2, 3])
    assert torch.equal(together, drawn([0, 1, 2, 3]))
    assert torch.allclose(together[2:], drawn([2, 3]), atol=1e-6)
    assert together.shape == (4, 3, 32, 32)
