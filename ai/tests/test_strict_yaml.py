from __future__ import annotations

from typing import Any

import pytest
import yaml

from vmaf_train.errors import ConfigError
from vmaf_train.strict_yaml import dump_yaml, parse_yaml

LOOKS_LIKE_A_NUMBER = ["1e5", "0o17", "007", "0x1f", "1_000", "1:30", "2024-01-01", "1.0", ".inf", "1E-3"]


@pytest.mark.parametrize(("text", "value"), [("1e-3", 1e-3), ("3E4", 3e4), ("-2.5e+1", -25.0), ("1e", "1e")])
def test_a_power_of_ten_is_a_number_with_or_without_a_dot(text: str, value: Any) -> None:
    assert parse_yaml(f"lr: {text}", "here") == {"lr": value}


@pytest.mark.parametrize(
    "text",
    ["a: 1\na: 1", "s:\n  a: 1\n  b: 2\n  a: 3", "[{a: 1, a: 2}]", '{a: 1, "a": 2}', "m: {<<: {a: 1, a: 2}}"],
)
def test_a_key_given_twice_is_refused_at_every_level(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^here: .*key 'a' twice"):
        parse_yaml(text, "here")


def test_a_merged_mapping_may_be_overridden_however_deep_the_chain() -> None:
    text = "a: &a {one: 1, two: 1}\nlater: {b: &b {<<: *a, one: 2}}\nc: {<<: *b, two: 3}"
    assert parse_yaml(text, "here") == {
        "a": {"one": 1, "two": 1},
        "later": {"b": {"one": 2, "two": 1}},
        "c": {"one": 2, "two": 3},
    }


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "a: b: c",
        "\x01",
        "{[1]: 2}",
        "a: 1\n---\nb: 2",
        "!!python/object/apply:os.getcwd []",
        "[" * 5000,
    ],
)
def test_what_is_no_plain_yaml_is_one_line_that_names_its_place(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "some.yaml")
    assert str(caught.value).startswith("some.yaml: expected valid YAML, found ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", LOOKS_LIKE_A_NUMBER)
def test_a_text_that_looks_like_a_number_is_quoted_and_reads_back_as_a_text(text: str) -> None:
    written = dump_yaml({"id": text})
    assert written in {f"id: '{text}'\n", f'id: "{text}"\n'}
    assert parse_yaml(written, "here") == yaml.safe_load(written) == {"id": text}


def test_numbers_come_back_as_the_same_numbers() -> None:
    values = {"lr": 1e-5, "big": 1e22, "n": 3, "half": 0.5, "none": None, "texts": ["on", "null", "é"]}
    assert parse_yaml(dump_yaml(values), "here") == yaml.safe_load(dump_yaml(values)) == values
