from __future__ import annotations

import re
import sys

import pytest

from vmaf_train.cli import main

LINES = (
    ("vmaf-train ver", 1, "verify"),
    ("vmaf-train run mobile", 2, "mobilesal_placeholder"),
    ("vmaf-train run saliency_student --config sal", 4, "saliency_student_v1"),
)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    return capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_be_taught_to_complete(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shell: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["vmaf-train"])
    monkeypatch.setenv("_VMAF_TRAIN_COMPLETE", f"source_{shell}")
    assert "_VMAF_TRAIN_COMPLETE" in said(capsys)
    monkeypatch.setenv("_VMAF_TRAIN_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    for line, index, wanted in LINES:
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(index))
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
        offered = re.findall(r"\w+", said(capsys))
        assert wanted in offered
        assert "tasks" not in offered
