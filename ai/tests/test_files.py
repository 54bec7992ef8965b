from __future__ import annotations

import errno
import json
import os
import stat
from hashlib import sha256
from pathlib import Path

import pytest

from vmaf_train.errors import ConfigError, PublishError
from vmaf_train.files import (
    clear_unfinished,
    dump_json,
    link_atomic,
    read_inputs,
    require_outputs,
    require_writable,
    resource,
    sha256_bytes,
    sha256_file,
    write_atomic,
)


def test_a_digest_is_that_of_the_bytes_on_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"model" * 100_000)
    assert sha256_file(path) == sha256(b"model" * 100_000).hexdigest() == sha256_bytes(path.read_bytes())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [{"deep": [-float("inf")]}]])
def test_json_never_holds_a_number_that_json_has_not(value: object) -> None:
    with pytest.raises(ValueError, match="JSON"):
        dump_json({"value": value})


def test_json_keeps_order_and_letters_and_ends_with_one_newline() -> None:
    text = dump_json({"b": "é", "a": 1})
    assert text == '{\n  "b": "é",\n  "a": 1\n}\n'
    assert json.loads(text) == {"b": "é", "a": 1}


def test_a_written_file_has_the_mode_of_an_ordinary_one(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x")
    write_atomic(tmp_path / "new" / "atomic", "x")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "plain", tmp_path / "new" / "atomic")]
    assert modes[0] == modes[1]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "registry.json"
    write_atomic(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PublishError, match=r"registry\.json.*No space left"):
        write_atomic(path, "new")
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("registry.json", "old")]


def test_a_file_is_at_two_places_and_the_old_one_there_is_replaced(tmp_path: Path) -> None:
    source, path = tmp_path / "source", tmp_path / "path"
    source.write_bytes(b"new")
    path.write_bytes(b"old")
    for _ in range(2):  # the second time they are one file already
        link_atomic(source, path)
        assert path.read_bytes() == b"new"
        assert path.stat().st_ino == source.stat().st_ino
        assert {entry.name for entry in tmp_path.iterdir()} == {"source", "path"}


def test_where_there_are_no_hard_links_the_bytes_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, "no hard links")

    monkeypatch.setattr(os, "link", refused)
    (tmp_path / "source").write_bytes(b"new")
    link_atomic(tmp_path / "source", tmp_path / "folder" / "path")
    assert (tmp_path / "folder" / "path").read_bytes() == b"new"
    assert [entry.name for entry in (tmp_path / "folder").iterdir()] == ["path"]


def test_a_folder_that_is_a_file_is_a_publish_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(PublishError, match="expected a file that can be written"):
        write_atomic(tmp_path / "file" / "inside", b"x")


def test_an_output_that_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    require_writable("--out", tmp_path / "new" / "deep" / "out.json")
    require_writable("--out", tmp_path / "file")
    require_writable("--dir", tmp_path / "new" / "deep", folder=True)
    require_writable("--dir", tmp_path, folder=True)
    for path, folder in (
        (tmp_path, False),
        (tmp_path / "file" / "out.json", False),
        (tmp_path / "file", True),
        (tmp_path / "file" / "in", True),
    ):
        with pytest.raises(ConfigError, match=f"--out: expected a {'folder' if folder else 'file'}"):
            require_writable("--out", path, folder=folder)


def test_a_device_a_pipe_and_a_descriptor_are_never_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/null"), Path("/dev/stdout"), Path("/dev/none"), Path("/dev/fd/1")):
        with pytest.raises(ConfigError, match=", a device or a pipe; "):
            require_writable("--out", path)
    with pytest.raises(PublishError, match="a device or a pipe"):
        write_atomic(pipe, "x")
    assert pipe.is_fifo()
    assert not Path("/dev/none").exists()


def test_a_link_that_leads_to_itself_is_refused_like_any_other_name(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    require_outputs(
        [("--out", loop / "x")], read_inputs([loop])
    )  # what cannot be resolved is no input's file
    with pytest.raises(PublishError, match="expected a file that can be written"):
        write_atomic(loop / "x", b"x")


def test_outputs_are_files_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "in.png").write_text("x")
    outputs = [("--json", tmp_path / "a"), ("--csv", tmp_path / "b")]
    inputs = read_inputs([tmp_path / "in.png"])
    require_outputs(outputs, inputs)
    for other, found in (("a", "the file of --json"), ("new/../in.png", "in.png, which is read")):
        with pytest.raises(ConfigError, match=f"--roi: expected a file of its own, found .*{found}"):
            require_outputs([*outputs, ("--roi", tmp_path / other)], inputs)


def test_only_the_remains_of_that_file_are_cleared(tmp_path: Path) -> None:
    for name in (".a.json.x1.tmp", ".a.json.x2.tmp", ".b.json.x1.tmp", "a.json", ".a.json", "a.json.tmp"):
        (tmp_path / name).write_text("x")
    clear_unfinished(tmp_path / "a.json")
    assert {path.name for path in tmp_path.iterdir()} == {".b.json.x1.tmp", "a.json", ".a.json", "a.json.tmp"}
    clear_unfinished(tmp_path / "absent" / "a.json")


def test_a_resource_that_is_nowhere_names_both_places() -> None:
    with pytest.raises(ConfigError, match=r"resources.*nothing\.c.* or .*nowhere"):
        resource("nothing.c", "nowhere")
