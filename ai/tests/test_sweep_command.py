from __future__ import annotations

import sys
from pathlib import Path

import pytest

from vmaf_train.cli import main


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--set", "fit.epochs=1,two"), "sweep trial fit.epochs=two"),
        (("--set", "fit.epoch=1,2"), "nearest known key: fit.epochs"),
        (("--set", "fit.seed=1,2", "--data", "nowhere"), "correct --data"),
        ((), "give a list"),
        (("--config", "smoke", "--config", "none"), "config none"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_before_its_folder_is_made(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    part: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["vmaf-train", "sweep", "saliency_student", *words])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr()
    assert end.value.code == 2
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert part in said.err
    assert not (tmp_path / "build").exists()
