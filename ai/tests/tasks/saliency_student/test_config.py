"""The recipe stands in its file, every shipped config loads, and nonsense is refused at once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vmaf_train.config_files import find_config_file, load_config, load_config_values
from vmaf_train.errors import ConfigError
from vmaf_train.files import resource
from vmaf_train.tasks.saliency_student.config import SaliencyConfig

SHIPPED = sorted(resource("configs", "ai", "configs").glob("*.yaml"))


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_every_shipped_config_loads(file: Path) -> None:
    assert load_config(SaliencyConfig, file).fit.epochs > 0


def test_v1_is_the_published_recipe() -> None:
    config = load_config(SaliencyConfig, find_config_file("saliency_student_v1"))
    assert (config.fit.epochs, config.fit.batch_size, config.fit.seed) == (50, 32, 42)
    assert (config.optimiser.name, config.optimiser.lr, config.optimiser.weight_decay) == ("adam", 1e-3, 0.0)
    assert config.schedule.name == "cosine"
    assert (config.schedule.warmup_epochs, config.schedule.final_fraction) == (0.0, 0.0)
    assert (config.augmentation.short_side, config.augmentation.crop) == (288, 256)
    assert (config.validation.share, config.validation.seed, config.validation.size) == (0.05, 42, 256)
    assert (config.loss.bce_weight, config.loss.dice_weight, config.loss.dice_smoothing) == (1.0, 1.0, 1.0)
    assert config.gate.min_value == 0.5
    assert config.export.max_abs_diff == 1e-5
    assert not config.smoke


def test_a_config_beside_the_recipe_states_only_differences_each_with_its_reason() -> None:
    recipe = load_config_values(find_config_file("saliency_student_v1"))
    assert "base" not in recipe
    for file in SHIPPED:
        if file.stem == "saliency_student_v1":
            continue
        text = file.read_text()
        assert re.search(r"(?m)^base: saliency_student_v\w+\.yaml$", text)
        stated = [line for line in text.splitlines() if ": " in line and not line.startswith(("#", "base:"))]
        assert [line for line in stated if "#" not in line] == []


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("augmentation.crop=304", "crop 304 is larger than short_side 92"),
        ("augmentation.crop=76", "crop 76 is no multiple of 8"),
        ("validation.size=100", "size 100 is no multiple of 8"),
        ("model.decoder=bilinear", "model.decoder"),
        ("validation.share=1.5", "validation.share"),
        ("optimiser.lr=.nan", "optimiser.lr"),
        ("loss={bce_weight: 0, dice_weight: 0}", "nothing to learn"),
    ],
)
def test_nonsense_is_refused_by_name(change: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        load_config(SaliencyConfig, find_config_file("smoke"), (change,))


def test_a_bottleneck_of_one_value_per_channel_is_refused_before_training() -> None:
    changes = ("augmentation.short_side=8", "augmentation.crop=8", "fit.batch_size=1")
    with pytest.raises(ConfigError, match="one value per channel"):
        load_config(SaliencyConfig, find_config_file("smoke"), changes)
    changes = ("augmentation.short_side=8", "augmentation.crop=8", "fit.batch_size=2")
    assert load_config(SaliencyConfig, find_config_file("smoke"), changes).augmentation.crop == 8
