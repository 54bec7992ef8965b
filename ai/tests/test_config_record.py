from __future__ import annotations

from nested_config import NestedConfig
from vmaf_train.config_files import default_values, load_config
from vmaf_train.config_record import config_differences, config_digest, recorded_config


def test_the_digest_ignores_where_and_how_fast_and_sees_everything_else() -> None:
    digest = config_digest(NestedConfig())
    assert digest == config_digest(load_config(NestedConfig, None, ["data.root=x", "fit.workers=3"]))
    changed = {
        config_digest(load_config(NestedConfig, None, [text]))
        for text in ("fit.seed=1", "data.embedded.seed=1", "widths=[16]", "gate.min_value=0.4")
    }
    assert len(changed - {digest}) == 4
    assert "root" not in recorded_config(NestedConfig())["data"]


def test_differences_are_named_and_a_setting_that_is_new_counts_as_its_default() -> None:
    defaults = default_values(NestedConfig)
    before = recorded_config(load_config(NestedConfig, None, ["fit.epochs=3"]))
    del before["decoder"]
    after = recorded_config(load_config(NestedConfig, None, ["fit.epochs=4"]))
    assert config_differences(before, after, defaults) == ["fit.epochs: 3 -> 4"]
    after["decoder"] = "b"
    assert "decoder: 'a' -> 'b'" in config_differences(before, after, defaults)
