from __future__ import annotations

from typing import Any

import pytest

from vmaf_train.config import recorded_config
from vmaf_train.task import SplittingTask
from vmaf_train.tasks.saliency_student.config import SaliencyConfig
from vmaf_train.tasks.saliency_student.task import SaliencyTask


def config(**changes: Any) -> SaliencyConfig:
    return SaliencyConfig.model_validate({"id": "some_v1", "data": {"root": "pairs"}, **changes})


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"validation": {"size": 128, "threshold": 0.4}}, True),
        ({"augmentation": {"crop": 96}, "optimiser": {"lr": 0.1}, "id": "other_v1"}, True),
        ({"validation": {"seed": 7}}, False),
        ({"validation": {"share": 0.06}}, False),
        ({"validation": {"hard_prefixes": ["sun_"]}}, False),
    ],
)
def test_a_run_held_out_the_same_pairs_where_the_settings_of_the_split_are_the_same(
    changes: dict[str, Any], same: bool
) -> None:
    task = SaliencyTask(config())
    assert isinstance(task, SplittingTask)
    assert task.holds_out_as(recorded_config(config(**changes))) is same


def test_a_record_from_before_a_setting_existed_counts_as_its_default() -> None:
    recorded = recorded_config(config())
    del recorded["validation"]["hard_prefixes"]
    assert SaliencyTask(config()).holds_out_as(recorded)
    assert not SaliencyTask(config(validation={"hard_prefixes": ["sun_"]})).holds_out_as(recorded)
