from __future__ import annotations

import dataclasses
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pairs.zips import good_members, with_link, zipped
from vmaf_train.errors import ConfigError, DataError
from vmaf_train.pairs import CATALOGUE, Fetched, fetch_corpus, find_pairs
from vmaf_train.pairs import fetch as fetch_module
from vmaf_train.pairs.catalogue import Archive


class Server(ThreadingHTTPServer):
    """Serves ``body``, announced with ``announced`` bytes; counts the requests."""

    body = b""
    announced: int | None = None
    requests = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/archive.zip"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests += 1
        if self.path != "/archive.zip":
            self.send_error(404)
            return
        self.send_response(200)
        length = len(self.server.body) if self.server.announced is None else self.server.announced
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server(("127.0.0.1", 0), Handler) as running:
        running.body = zipped(good_members())
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def digest(server: Server) -> str:
    return hashlib.sha256(server.body).hexdigest()


def fetched(server: Server, to: Path, sha256: str | None = None) -> Fetched:
    return fetch_corpus("duts-tr", to, url=server.url, sha256=sha256 or digest(server))


def pin(monkeypatch: pytest.MonkeyPatch, server: Server, size: int) -> None:
    entry = dataclasses.replace(CATALOGUE["duts-tr"], archive=Archive(server.url, digest(server), size))
    monkeypatch.setitem(CATALOGUE, "duts-tr", entry)


def test_a_corpus_lands_in_its_folder_ready_to_use(server: Server, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    told = fetch_corpus(
        "duts-tr",
        tmp_path / "data",
        url=server.url,
        sha256=digest(server).upper(),
        progress=lambda done, total: steps.append((done, total)),
    )
    assert told.folder == tmp_path / "data" / "DUTS-TR"
    assert (told.pairs, told.expected_pairs, told.downloaded) == (3, 10_553, True)
    assert "academic research" in told.terms
    assert [pair.stem for pair in find_pairs(told.folder).pairs] == ["0", "1", "2"]
    assert steps[-1] == (len(server.body), len(server.body))
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["DUTS-TR"]


def test_a_second_fetch_of_the_same_archive_downloads_nothing(server: Server, tmp_path: Path) -> None:
    first = fetched(server, tmp_path)
    second = fetched(server, tmp_path)
    assert second == dataclasses.replace(first, downloaded=False)
    assert server.requests == 1


def test_a_folder_with_something_else_is_never_touched(server: Server, tmp_path: Path) -> None:
    (tmp_path / "DUTS-TR").mkdir()
    (tmp_path / "DUTS-TR" / "mine.txt").write_text("keep")
    with pytest.raises(ConfigError, match="something else"):
        fetched(server, tmp_path)
    assert (tmp_path / "DUTS-TR" / "mine.txt").read_text() == "keep"
    assert server.requests == 0


def test_a_pinned_archive_needs_no_digest_from_the_user(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin(monkeypatch, server, len(server.body))
    assert fetch_corpus("duts-tr", tmp_path).pairs == 3


def test_a_wrong_digest_leaves_nothing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"0000.*does not match|does not match.*0000"):
        fetched(server, tmp_path, "0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_cut_connection_leaves_nothing(server: Server, tmp_path: Path) -> None:
    server.announced = len(server.body) + 5000
    with pytest.raises(DataError, match="nothing was kept"):
        fetched(server, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("off_by", "reason"), [(-1, "at most"), (1, "bytes of")])
def test_a_length_other_than_the_pinned_one_leaves_nothing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, off_by: int, reason: str
) -> None:
    pin(monkeypatch, server, len(server.body) + off_by)
    with pytest.raises(DataError, match=reason):
        fetch_corpus("duts-tr", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_endless_download_stops_at_the_cap(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_module, "MAX_ARCHIVE_BYTES", 1000)
    with pytest.raises(DataError, match="at most 1000 bytes"):
        fetched(server, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_page_and_a_dead_server_are_told(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="404"):
        fetch_corpus("duts-tr", tmp_path, url=server.url + "x", sha256="0" * 64)
    with pytest.raises(DataError, match="nothing was kept"):
        fetch_corpus("duts-tr", tmp_path, url="http://127.0.0.1:1/archive.zip", sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "body",
    [
        zipped({**good_members(), "../escaped.jpg": b"evil"}),
        with_link("DUTS-TR/DUTS-TR-Image", "/etc"),
        zipped({"DUTS-TR/DUTS-TR-Image/a.jpg": bytes(4 << 20)}),
        b"<html>moved</html>",
        zipped({"readme.txt": b"no pictures"}),
    ],
    ids=["path escape", "symlink", "bomb", "web page", "no pairs"],
)
def test_a_hostile_or_useless_archive_leaves_nothing(server: Server, tmp_path: Path, body: bytes) -> None:
    server.body = body
    with pytest.raises(DataError):
        fetch_corpus("duts-tr", tmp_path / "to", url=server.url, sha256=digest(server), max_unpacked=1 << 20)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["to"]


def test_without_a_known_digest_the_fetch_is_refused_before_any_request(
    server: Server, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"--sha256 and --url"):
        fetch_corpus("ecssd", tmp_path)
    with pytest.raises(ConfigError, match=r"no digest is known"):
        fetch_corpus("ecssd", tmp_path, url=server.url)
    with pytest.raises(ConfigError, match=r"no digest is known"):
        fetch_corpus("duts-tr", tmp_path, url=server.url)
    assert server.requests == 0


def test_a_digest_or_an_address_that_cannot_be_one_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="64 hex digits"):
        fetch_corpus("ecssd", tmp_path, url="https://example.org/a.zip", sha256="abc")
    with pytest.raises(ConfigError, match="http or https"):
        fetch_corpus("ecssd", tmp_path, url="file:///a.zip", sha256="0" * 64)
    with pytest.raises(ConfigError, match="no such corpus"):
        fetch_corpus("imagenet", tmp_path)


def test_a_target_that_cannot_be_made_is_told_in_one_line(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="can be written"):
        fetched(server, tmp_path / "file" / "data")
