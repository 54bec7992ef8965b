from __future__ import annotations

import pickle

import pytest

from vmaf_train import errors
from vmaf_train.errors import ConfigError, GateError, VmafTrainError


def test_an_error_tells_thing_expected_found_and_next_step_in_one_line() -> None:
    error = VmafTrainError("a.json", expected="a row", found="none\n\t at\r\nall", next_step="add one")
    assert str(error) == "a.json: expected a row, found none at all; add one"


def test_each_kind_has_its_exit_code() -> None:
    codes = {name: getattr(errors, name).exit_code for name in errors.__all__}
    assert codes.pop("ConfigError") == 2
    assert codes.pop("GateError") == 3
    assert set(codes.values()) == {1}


@pytest.mark.parametrize("kind", [ConfigError, GateError])
def test_an_error_comes_home_whole_from_a_worker_process(kind: type[VmafTrainError]) -> None:
    error = kind("pair 7", expected="a picture", found="a web page", next_step="remove it")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)
    assert (again.thing, again.next_step) == ("pair 7", "remove it")
