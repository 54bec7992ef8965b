"""Checkpoints hold tensors and plain types, are replaced whole, and run no code when loaded."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from vmaf_train.checkpoint import latest_checkpoint, load_checkpoint, save_checkpoint
from vmaf_train.errors import ConfigError


class Trap:
    """Touches a file when unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (open, (self.path, "w"))


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 3, {"weights": {"a": torch.arange(3)}, "history": ["x"], "best": None})
    state = load_checkpoint(tmp_path / "epoch_000003.pt")
    assert state["epoch"] == 3
    assert torch.equal(state["weights"]["a"], torch.arange(3))
    assert state["history"] == ["x"]
    assert state["best"] is None


def test_the_newest_is_found_and_the_one_before_is_kept(tmp_path: Path) -> None:
    for epoch in (1, 2, 10):
        save_checkpoint(tmp_path, epoch, {})
    assert latest_checkpoint(tmp_path) == tmp_path / "epoch_000010.pt"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch_000002.pt", "epoch_000010.pt"]


def test_there_is_none_in_an_empty_or_missing_folder(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path) is None
    assert latest_checkpoint(tmp_path / "missing") is None


def test_a_half_written_file_is_not_taken_for_a_checkpoint(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 1, {})
    (tmp_path / ".epoch_000002.pt.abc.tmp").write_bytes(b"half")
    assert latest_checkpoint(tmp_path) == tmp_path / "epoch_000001.pt"


def test_a_pickled_object_is_refused_and_its_code_not_run(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    hostile = tmp_path / "epoch_000001.pt"
    torch.save({"format": 1, "epoch": 1, "trap": Trap(str(touched))}, hostile)
    plain = tmp_path / "epoch_000002.pt"
    plain.write_bytes(pickle.dumps(Trap(str(touched))))
    for path in (hostile, plain):
        with pytest.raises(ConfigError, match="a checkpoint of tensors and plain types"):
            load_checkpoint(path)
    assert not touched.exists()


@pytest.mark.parametrize("keep", [0, 1, 100])
def test_a_cut_off_file_is_refused_by_name(tmp_path: Path, keep: int) -> None:
    path = save_checkpoint(tmp_path, 1, {"weights": torch.zeros(50)})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ConfigError, match=r"epoch_000001\.pt"):
        load_checkpoint(path)


def test_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "epoch_000001.pt"
    torch.save({"format": 99}, path)
    with pytest.raises(ConfigError, match="checkpoint format 1, found 99"):
        load_checkpoint(path)
    torch.save([1, 2], path)
    with pytest.raises(ConfigError, match="checkpoint format 1"):
        load_checkpoint(path)
