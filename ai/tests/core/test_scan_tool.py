"""``vmaf-onnx-scan`` prints the line that Python's report prints."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from core.cases import all_cases, with_external
from core.native import Native
from vmaf_train.errors import ContractError
from vmaf_train.op_allowlist import check_model

CASES = all_cases()


def scan(native: Native, *paths: Path) -> subprocess.CompletedProcess[str]:
    command = [str(native.folder / "vmaf-onnx-scan"), *(str(path) for path in paths)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def test_each_file_gets_the_line_of_the_python_report(native: Native, tmp_path: Path) -> None:
    paths = []
    for number, case in enumerate(CASES.values()):
        paths.append(tmp_path / f"{number}.onnx")
        paths[-1].write_bytes(case.data)
    done = scan(native, *paths)
    assert done.stdout.splitlines() == [str(check_model(path)) for path in paths]
    assert done.returncode == 1


def test_the_status_tells_accepted_refused_and_unreadable_apart(native: Native, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.onnx", tmp_path / "bad.onnx"
    good.write_bytes(CASES["unet"].data)
    bad.write_bytes(b"")
    assert scan(native, good, good).returncode == 0
    assert scan(native, good, bad).returncode == 1
    assert scan(native, bad, tmp_path / "missing.onnx").returncode == 2
    assert scan(native).returncode == 2


def test_neither_waits_for_a_pipe_nor_reads_a_folder(native: Native, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.onnx"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, tmp_path / "missing.onnx"):
        assert scan(native, path).returncode == 2
        with pytest.raises(ContractError, match=r"readable ONNX file"):
            check_model(path)


def test_both_refuse_a_file_above_the_limit_without_reading_it_all(native: Native, tmp_path: Path) -> None:
    path = tmp_path / "large.onnx"
    path.write_bytes(CASES["unet"].data)
    os.truncate(path, 1 << 40)
    assert str(check_model(path)) == scan(native, path).stdout.strip()
    assert check_model(path).violations[0].reason == "file_too_large"


@pytest.mark.parametrize("link", ["symbolic", "hard", "none"])
def test_weights_in_another_file_are_refused_and_that_file_is_not_opened(
    link: str, native: Native, tmp_path: Path
) -> None:
    secret, model = tmp_path / "secret.bin", tmp_path / "model.onnx"
    os.mkfifo(secret)  # Opening it would wait for ever.
    beside = tmp_path / "weights.bin"
    if link == "symbolic":
        beside.symlink_to(secret)
    elif link == "hard":
        beside.hardlink_to(secret)
    else:
        secret.rename(beside)
    model.write_bytes(with_external(location="weights.bin").SerializeToString())
    report = check_model(model)
    assert str(report) == scan(native, model).stdout.strip()
    assert str(report).endswith(f"{model}: external_data: w at byte 27")
    with pytest.raises(ContractError, match=r"external_data: w at byte 27.*inside the one file"):
        report.require()
