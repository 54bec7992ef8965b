from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from evaluation.made_models import opened, toy_pairs
from vmaf_train.errors import ContractError
from vmaf_train.evaluation.costs import picture_cost, video_cost
from vmaf_train.evaluation.feed import Feed
from vmaf_train.processor import processor_name


def test_pictures_are_timed_one_by_one_at_the_size_that_is_fed(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    pairs = toy_pairs(tmp_path, 3)
    cost = picture_cost(opened(tmp_path), Feed(80), pairs, lambda *step: told.append(step))
    assert (cost.width, cost.height, cost.frames, cost.threads) == (120, 80, 3, 1)
    assert cost.median_seconds > 0
    assert cost.p95_seconds is None
    assert cost.processor == processor_name() != ""
    assert told == [(1, 3), (2, 3), (3, 3)]
    many = picture_cost(opened(tmp_path), Feed(), [*pairs * 7])
    assert many.p95_seconds is not None
    assert many.p95_seconds >= many.median_seconds


def test_a_video_frame_runs_in_a_process_of_its_own_whose_memory_is_read(tmp_path: Path) -> None:
    cost = video_cost(opened(tmp_path), 1920, 1080)
    assert (cost.width, cost.height) == (1920, 1080)
    assert cost.peak_bytes is not None
    # Input and map alone take 33 MB.
    assert 33_000_000 < cost.peak_bytes < 2_000_000_000


def test_a_process_that_fails_is_told_by_its_last_line(tmp_path: Path) -> None:
    model = opened(tmp_path)
    model.path.unlink()
    with pytest.raises(ContractError, match=r"at 64x48: expected a map, .*No such file"):
        video_cost(model, 64, 48)


@pytest.mark.parametrize(
    ("code", "out", "said"),
    [(-9, "", "exit code -9"), (0, '{"sha256": "of another file"}', "another file than was opened")],
)
def test_a_killed_process_and_a_changed_file_are_no_measurement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, out: str, said: str
) -> None:
    answer = subprocess.CompletedProcess([], code, out, "")
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: answer)
    with pytest.raises(ContractError, match=f"at 64x48: expected a map, found {said}"):
        video_cost(opened(tmp_path), 64, 48)
