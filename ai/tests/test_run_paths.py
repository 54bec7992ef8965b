from __future__ import annotations

from pathlib import Path

import pytest

from vmaf_train.config import Section, TaskConfig
from vmaf_train.errors import ConfigError
from vmaf_train.run_paths import choose_run_dir, default_output_dirs, require_data_folders


class Data(Section):
    root: Path | None = None
    extra_roots: tuple[Path, ...] = ()


class DataConfig(TaskConfig):
    data: Data = Data()


REAL, SMOKE = TaskConfig(id="a"), TaskConfig(id="a", smoke=True)


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_smoke_model_goes_below_build_unless_told_otherwise() -> None:
    assert default_output_dirs(REAL, None, None) == (Path("model/tiny"), Path("docs/ai/models"))
    assert default_output_dirs(SMOKE, None, None) == (Path("build/model/tiny"), Path("build/docs/ai/models"))
    assert default_output_dirs(SMOKE, Path("m"), None) == (Path("m"), Path("build/docs/ai/models"))
    assert default_output_dirs(REAL, None, Path("d")) == (Path("model/tiny"), Path("d"))


def test_a_run_gets_the_next_number_and_a_resumed_one_the_newest() -> None:
    home = Path("build/runs/a")
    assert choose_run_dir(REAL, None, resume=False) == home / "001"
    assert choose_run_dir(REAL, None, resume=True) == home / "001"
    for name in ("001", "012", "notes", "²", "٣", "13x", "build"):
        (home / name).mkdir(parents=True)
    assert choose_run_dir(REAL, None, resume=False) == home / "013"
    assert choose_run_dir(REAL, None, resume=True) == home / "012"


def test_a_named_run_folder_is_taken_as_it_is() -> None:
    for resume in (False, True):
        assert choose_run_dir(REAL, Path("here"), resume=resume) == Path("here")


def test_a_data_folder_that_is_not_there_is_named() -> None:
    Path("there").mkdir()
    Path("file").write_text("x")
    require_data_folders(REAL)
    require_data_folders(DataConfig(id="a"))
    require_data_folders(DataConfig(id="a", data=Data(root=Path("there"), extra_roots=(Path("there"),))))
    for data, fault in (
        (Data(root=Path("absent")), "absent: .*nothing there"),
        (Data(root=Path("file")), "file: .*found a file"),
        (Data(root=Path("there"), extra_roots=(Path("gone"),)), "gone: .*nothing there"),
    ):
        with pytest.raises(ConfigError, match=fault):
            require_data_folders(DataConfig(id="a", data=data))
