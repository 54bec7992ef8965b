"""The points of a sweep: every combination, each a valid config of its own, told apart by its diff."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from toy import ToyConfig
from vmaf_train.errors import ConfigError
from vmaf_train.files import sha256_file
from vmaf_train.sweep_plan import SweepPlan, plan_sweep


def plan(
    *overrides: str, configs: tuple[str, ...] = (), trials: int | None = None, **changes: Any
) -> SweepPlan:
    return plan_sweep(ToyConfig, configs, overrides, changes, trials)


def test_every_combination_is_a_point_the_last_list_fastest() -> None:
    made = plan("fit.seed=1,2", "optimiser.lr=0.1,1e-3", "fit.epochs=7")
    assert [dict(point.choices) for point in made.points] == [
        {"fit.seed": "1", "optimiser.lr": "0.1"},
        {"fit.seed": "1", "optimiser.lr": "0.001"},
        {"fit.seed": "2", "optimiser.lr": "0.1"},
        {"fit.seed": "2", "optimiser.lr": "0.001"},
    ]
    assert [point.number for point in made.points] == [1, 2, 3, 4]
    assert {point.config.fit.epochs for point in made.points} == {7}
    assert made.points[3].config.optimiser.lr == 1e-3
    assert made.trials == 4


def test_the_difference_from_the_first_point_holds_what_varies_and_nothing_else() -> None:
    made = plan("fit.seed=1,2", "optimiser.name=adam,adamw")
    assert [list(point.differences) for point in made.points] == [
        [],
        ["optimiser.name: 'adam' -> 'adamw'"],
        ["fit.seed: 1 -> 2"],
        ["fit.seed: 1 -> 2", "optimiser.name: 'adam' -> 'adamw'"],
    ]


def test_config_files_are_compared_like_values(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("fit: {seed: 1}\n")
    (tmp_path / "b.yaml").write_text("base: a.yaml\noptimiser: {lr: 0.5, name: adamw}\n")
    files = (str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml"))
    made = plan("fit.epochs=1", configs=files)
    assert [point.choices["config"] for point in made.points] == list(files)
    assert made.points[1].differences == (
        "optimiser.lr: 0.05 -> 0.5",
        "optimiser.name: 'adam' -> 'adamw'",
    )
    crossed = plan("fit.seed=1,2", configs=files)
    assert len(crossed.points) == 4


def test_initial_weights_are_a_setting_told_by_their_digest(tmp_path: Path) -> None:
    for name in ("a.pt", "b.pt"):
        (tmp_path / name).write_text(name)
    first, second = (sha256_file(tmp_path / name) for name in ("a.pt", "b.pt"))
    varied = plan(f"fit.initial=null,{tmp_path / 'a.pt'},{tmp_path / 'b.pt'}")
    assert [list(point.differences) for point in varied.points] == [
        [],
        [f"fit.initial: (unknown) -> '{first}'"],
        [f"fit.initial: (unknown) -> '{second}'"],
    ]
    fixed = plan("fit.seed=1,2", f"fit.initial={tmp_path / 'a.pt'}")
    assert [point.settings["fit"]["initial"] for point in fixed.points] == [first, first]
    assert [list(point.differences) for point in fixed.points] == [[], ["fit.seed: 1 -> 2"]]
    assert str(tmp_path) not in str(fixed.points[0].settings)
    with pytest.raises(ConfigError, match="found none"):
        plan("fit.seed=1,2", f"fit.initial={tmp_path / 'c.pt'}")


def test_fewer_trials_than_points_may_be_asked_for_and_more_are_not() -> None:
    assert plan("fit.seed=1,2,3", trials=2).trials == 2
    assert plan("fit.seed=1,2,3", trials=9).trials == 3


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ((), "give a list"),
        (("fit.seed=1",), "give a list"),
        (("fit.seed=1,two",), "sweep trial fit.seed=two: .*fit.seed: Input should be a valid integer"),
        (("fit.sede=1,2",), "unknown key fit.sede .nearest known key: fit.seed."),
        (("optimiser.name=adam,sgd",), "optimiser.name=sgd: .*'adam' or 'adamw'"),
        (("fit.seed=1,1",), "1 more than once"),
        (("fit.seed=1,01",), "1 more than once"),
        (
            ("optimiser.lr=1,1.0",),
            "optimiser.lr=1.0: expected a config of its own, found that of optimiser.lr=1;",
        ),
        (("fit.workers=0,1",), "a setting of the machine decides no result"),
        (("fit.seed=1,2", "fit.seed=3"), "fit.seed again"),
        (("fit.seed=1", "fit.seed=3,4"), "fit.seed again"),
        (("fit.seed",), "no such form"),
        (("fit..seed=1,2",), "no such form"),
        (("fit.seed=",), "write fit.seed=VALUE,VALUE"),
        (("fit.seed=[1,2",), "expected valid YAML"),
        (
            ("fit.seed=1,2,3", *(f"{k}=1,2,3,4,5,6,7,8,9,10" for k in ("a", "b", "c"))),
            "1000 combinations.*found 3,000",
        ),
    ],
)
def test_a_list_that_cannot_be_tried_is_refused_by_name(overrides: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        plan(*overrides)
    assert refused.value.exit_code == 2


def test_a_value_that_is_a_list_stands_in_brackets() -> None:
    from vmaf_train.tasks.saliency_student.config import SaliencyConfig

    made = plan_sweep(SaliencyConfig, ["smoke"], ["model.encoder_widths=[16,32,48],[8,16,24]"], {})
    assert made.axes[0].labels == ("[16, 32, 48]", "[8, 16, 24]")
    assert made.points[1].differences == ("model.encoder_widths: [16, 32, 48] -> [8, 16, 24]",)
    with pytest.raises(ConfigError, match=r"model.encoder_widths: Input should be a valid tuple"):
        plan_sweep(SaliencyConfig, ["smoke"], ["model.encoder_widths=16,32,48"], {})
