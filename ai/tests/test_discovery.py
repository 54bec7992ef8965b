from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from records import python
from vmaf_train import discovery
from vmaf_train.discovery import ENTRY_POINT_GROUP, discover_tasks, load_task
from vmaf_train.errors import ConfigError

BUILT_IN = {"mobilesal_placeholder", "saliency_student"}
PLUGIN = """
from vmaf_train.config import TaskConfig
from vmaf_train.task import TaskPlugin

class Config(TaskConfig):
    id: str = "third_v1"

def plugin(**parts):
    given = dict(name="third", summary="A third", config_type=Config, create=print)
    return TaskPlugin(**(given | parts))

PLUGIN = plugin()
"""
BROKEN = {
    "raises": ("raise RuntimeError('no [/bold] luck\\nat all')", "RuntimeError: no [/bold] luck at all"),
    "silent": ("raise RuntimeError", "RuntimeError"),
    "leaves": ("raise SystemExit(3)", "SystemExit: 3"),
    "panics": ("class Panic(BaseException): pass\nraise Panic('rust')", "Panic: rust"),
    "unspeakable": (
        "class Odd(Exception):\n    def __str__(self): raise ValueError\nraise Odd(1)",
        "Odd",
    ),
    "absent": ("", "AttributeError: module 'third_absent' has no attribute 'PLUGIN'"),
    "wrong_type": ("PLUGIN = {'name': 'third'}", "third_wrong_type:PLUGIN is a dict, not a TaskPlugin"),
    "newer": (PLUGIN + "PLUGIN = plugin(api_version=2, name=3)", "API version 2, this vmaf_train has 1"),
    "versioned_by_text": (PLUGIN + "PLUGIN = plugin(api_version='1')", "API version '1'"),
    "misnamed": (PLUGIN + "PLUGIN = plugin(name='other')", "calls itself other, its entry point misnamed"),
    "no_config": (
        PLUGIN + "PLUGIN = plugin(name='no_config', config_type=dict)",
        "not a subclass of TaskConfig",
    ),
    "no_create": (PLUGIN + "PLUGIN = plugin(name='no_create', create=None)", "create is None"),
    "odd_kind": (PLUGIN + "PLUGIN = plugin(name='odd_kind', kind='xr')", "not one of fr, nr, filter"),
    "no_summary": (
        PLUGIN + "PLUGIN = plugin(name='no_summary', summary=None)",
        "summary is None, not a text",
    ),
}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages, first on the path."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("third"):
            del sys.modules[name]


def install(site: Path, distribution: str, points: dict[str, str], suffix: str = "dist-info") -> Path:
    """Put what a package manager would: metadata and entry points."""
    folder = site / f"{distribution.replace('-', '_')}-1.0.{suffix}"
    folder.mkdir()
    metadata = "PKG-INFO" if suffix == "egg-info" else "METADATA"
    (folder / metadata).write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    lines = "".join(f"{name} = {target}\n" for name, target in points.items())
    (folder / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\n{lines}")
    return folder


def working() -> set[str]:
    return {entry.name for entry in discover_tasks() if entry.plugin is not None}


def causes() -> dict[str, str]:
    return {entry.target: entry.cause for entry in discover_tasks() if entry.plugin is None}


def test_a_third_partys_task_is_found_beside_the_built_in_ones(site: Path) -> None:
    (site / "third_a.py").write_text("print('hello')" + PLUGIN)
    install(site, "third-a", {"third": "third_a:PLUGIN"})
    assert working() == BUILT_IN | {"third"}
    assert load_task("third").summary == "A third"
    names = [entry.name for entry in discover_tasks()]
    assert names == sorted(names)


def test_what_a_plugin_prints_at_import_stays_out_of_standard_output(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (site / "third_a.py").write_text("print('hello')" + PLUGIN)
    install(site, "third-a", {"third": "third_a:PLUGIN"})
    discover_tasks()
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "hello\n")


@pytest.mark.parametrize("form", ["dist-info", "egg-info"])
def test_a_task_that_two_packages_list_alike_is_one(site: Path, form: str) -> None:
    (site / "third_a.py").write_text(PLUGIN)
    install(site, "third-a", {"third": "third_a:PLUGIN"})
    install(site, "third-b" if form == "dist-info" else "third.A", {"third": "third_a:PLUGIN"}, form)
    assert [entry.distribution for entry in discover_tasks() if entry.name == "third"] == ["third-a"]
    assert load_task("third").name == "third"


def test_one_name_with_two_targets_is_refused_and_both_are_named(site: Path) -> None:
    for letter in "ab":
        (site / f"third_{letter}.py").write_text(PLUGIN)
        install(site, f"third-{letter}", {"third": f"third_{letter}:PLUGIN"})
    a, b = "third_a:PLUGIN (third-a)", "third_b:PLUGIN (third-b)"
    said = causes()
    assert said["third_a:PLUGIN"] == f"{a} has the same name as {b}"
    assert said["third_b:PLUGIN"] == f"{b} has the same name as {a}"
    assert working() == BUILT_IN
    with pytest.raises(ConfigError, match=r"task third: .*third_a:PLUGIN.*third_b:PLUGIN"):
        load_task("third")


def test_a_built_in_task_cannot_be_shadowed(site: Path) -> None:
    (site / "third_a.py").write_text(PLUGIN)
    install(site, "third-a", {"saliency_student": "third_a:PLUGIN"})
    # A package that lists ours under its own name as well does not make a clash of it.
    install(site, "a-copy", {"saliency_student": "vmaf_train.tasks.saliency_student:PLUGIN"})
    mine, theirs = (entry for entry in discover_tasks() if entry.name == "saliency_student")
    assert (mine.distribution, mine.cause) == ("vmaf-train", "")
    assert theirs.plugin is None
    assert theirs.cause.startswith("third_a:PLUGIN (third-a) shadows the built-in vmaf_train.tasks.")
    assert load_task("saliency_student").config_type.__module__.startswith("vmaf_train.")
    assert "third_a" not in sys.modules


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_listed_with_its_cause_and_hides_no_other(site: Path, name: str) -> None:
    code, cause = BROKEN[name]
    (site / f"third_{name}.py").write_text(code)
    install(site, "third-broken", {name: f"third_{name}:PLUGIN"})
    (site / "third_a.py").write_text(PLUGIN)
    install(site, "third-a", {"third": "third_a:PLUGIN"})
    assert working() == BUILT_IN | {"third"}
    said = causes()[f"third_{name}:PLUGIN"]
    assert cause in said
    assert "\n" not in said
    with pytest.raises(ConfigError, match="mend or uninstall third-broken") as caught:
        load_task(name)
    assert cause in str(caught.value)


@pytest.mark.parametrize("target", ["no_such_module:PLUGIN", "os.path:absent", "not a target", ":PLUGIN"])
def test_a_target_that_leads_nowhere_is_a_broken_task(site: Path, target: str) -> None:
    install(site, "third-a", {"third": target})
    assert causes()[target]
    assert working() == BUILT_IN


@pytest.mark.parametrize(
    "text", [b"[vmaf_train.tasks]\nno equals sign\n", b"[vmaf_train.tasks]\n\xff = a:b\n"]
)
def test_a_package_with_damaged_entry_points_hides_no_other(site: Path, text: bytes) -> None:
    (site / "third_a.py").write_text(PLUGIN)
    install(site, "third-a", {"third": "third_a:PLUGIN"})
    folder = install(site, "damaged", {})
    (folder / "entry_points.txt").write_bytes(text)
    assert working() == BUILT_IN | {"third"}
    if text.isascii():
        assert "entry_points.txt cannot be read" in causes()["unknown"]


def test_a_package_without_metadata_hides_no_other(site: Path) -> None:
    (site / "third_a.py").write_text(PLUGIN)
    (install(site, "third-a", {"third": "third_a:PLUGIN"}) / "METADATA").unlink()
    assert working() == BUILT_IN | {"third"}
    assert {entry.distribution for entry in discover_tasks() if entry.name == "third"} == {"unknown"}


def test_an_interrupt_during_an_import_is_not_a_broken_plugin(site: Path) -> None:
    (site / "third_a.py").write_text("raise KeyboardInterrupt")
    install(site, "third-a", {"third": "third_a:PLUGIN"})
    with pytest.raises(KeyboardInterrupt):
        discover_tasks()


def test_a_plugin_that_hangs_at_import_is_broken_and_holds_up_no_other(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    discover_tasks()  # so that the others are imported and take no time
    monkeypatch.setattr(discovery, "_IMPORT_SECONDS", 1.0)
    code = "import time\nwhile True:\n    try: time.sleep(9)\n    except Exception: pass"
    (site / "third_hangs.py").write_text(code)
    install(site, "third-hangs", {"hangs": "third_hangs:PLUGIN"})
    (site / "third_a.py").write_text(PLUGIN)
    install(site, "third-a", {"third": "third_a:PLUGIN"})
    before = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
    found = {entry.name: entry.cause for entry in discover_tasks()}
    assert found == dict.fromkeys(BUILT_IN | {"third"}, "") | {"hangs": "ImportTimeout: no end within 1 s"}
    assert (signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)) == before
    monkeypatch.setattr(discovery, "_IMPORT_SECONDS", 0.1)
    with pytest.raises(ConfigError, match=r"no end within 0\.1 s; mend or uninstall third-hangs"):
        load_task("hangs")


def test_only_the_wanted_plugin_is_imported(site: Path) -> None:
    for letter in "ab":
        (site / f"third_{letter}.py").write_text(PLUGIN.replace('name="third"', f'name="third_{letter}"'))
        install(site, f"third-{letter}", {f"third_{letter}": f"third_{letter}:PLUGIN"})
    assert load_task("third_a").name == "third_a"
    assert "third_b" not in sys.modules


def test_a_plugin_is_found_from_a_thread_too(site: Path) -> None:
    (site / "third_a.py").write_text(PLUGIN)
    install(site, "third-a", {"third": "third_a:PLUGIN"})
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(load_task, "third").result().name == "third"


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        ConfigError, match="one of: mobilesal_placeholder, saliency_student, found no such task"
    ):
        load_task("saliency")


BESIDE = """
import contextlib, io, json, sys
from vmaf_train.cli import main

def said(*words):
    sys.argv = ["vmaf-train", *words]
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        main()
    return text.getvalue()

print(json.dumps([said("--help"), said("tasks"), said("tasks", "--json")]))
"""


def test_help_and_tasks_work_beside_a_broken_plugin(tmp_path: Path) -> None:
    (tmp_path / "third_a.py").write_text("import sys\nprint('[/x]')\nsys.exit('[/bold] broken')")
    install(tmp_path, "third-a", {"third": "third_a:PLUGIN"})
    ran = python(BESIDE, paths=(tmp_path,))
    assert ran.returncode == 0, ran.stderr
    helped, table, rows = json.loads(ran.stdout)
    assert "verify" in helped
    assert "[/bold]" in table
    states = {row["name"]: row["state"] for row in json.loads(rows)}
    assert states == {"mobilesal_placeholder": "ok", "saliency_student": "ok", "third": "broken"}
