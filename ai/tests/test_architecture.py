from __future__ import annotations

import ast
import io
import re
import shutil
import subprocess
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import vmaf_train
from records import python

PACKAGE = Path(vmaf_train.__file__).resolve().parent
ROOT = PACKAGE.parents[2]
MODULES = sorted(PACKAGE.rglob("*.py"))
LIGHT = (
    *(
        "cli",
        "config",
        "config_faults",
        "config_files",
        "config_record",
        "discovery",
        "errors",
        "files",
        "interruption",
        "model_card",
        "publish",
        "registry",
    ),
    *(
        "evaluation.command",
        "processor",
        "progress",
        "report",
        "reproducer",
        "run_paths",
        "run_record",
        "staging",
        "strict_json",
        "strict_yaml",
        "summary",
        "check_command",
        "command_options",
        "quantise_command",
        "sweep_command",
        "sweep_plan",
        "sweep_results",
        "task",
        "verify",
    ),
    *("prediction", "prediction.commands"),
    *("tasks.saliency_student", "tasks.saliency_student.config", "tasks.mobilesal_placeholder"),
)
HEAVY = ("matplotlib", "numpy", "onnx", "onnxruntime", "PIL", "torch")
THE_WORD = re.compile("salien" + "(t|ce|cy)", re.IGNORECASE)


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def each_module(*, packages: bool = True) -> Iterator[tuple[str, ast.Module]]:
    for path in MODULES:
        if packages or path.name != "__init__.py":
            yield name_of(path), ast.parse(path.read_text(encoding="utf-8"))


def tracked() -> list[Path]:
    """The text files of the repository; those of the package where there is no repository."""
    git = shutil.which("git")
    listed: list[Path] = []
    if git is not None and (ROOT / ".git").exists():
        command = [git, "-C", str(ROOT), "ls-files", "-z"]
        names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
        listed = [ROOT / name for name in names if name and (ROOT / name).is_file()]
    found = listed or [path for path in PACKAGE.rglob("*") if path.suffix in {".py", ".j2"}]
    return [path for path in found if b"\0" not in path.read_bytes()]


def own_words(path: Path) -> str:
    """The text; of the catalogue no strings, which are titles and addresses of others' works."""
    text = path.read_text(encoding="utf-8")
    if name_of(path) != "pairs/catalogue.py":
        return text
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return " ".join(token.string for token in tokens if token.type != tokenize.STRING)


def test_the_framework_does_not_know_what_its_task_looks_for() -> None:
    places = ("*.py", "templates/*", "pairs/*.py", "evaluation/*.py", "prediction/*.py")
    framework = [path for place in places for path in PACKAGE.glob(place)]
    assert len(framework) > 40
    assert [name_of(path) for path in framework if THE_WORD.search(own_words(path))] == []


def test_every_module_says_what_it_offers_in_order() -> None:
    for name, tree in each_module():
        lists = [
            node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            and [ast.unparse(target) for target in node.targets] == ["__all__"]
        ]
        if not lists:
            # A package that only holds others has nothing to offer.
            assert name.endswith("__init__.py"), name
            assert not any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree.body), name
            continue
        (offered,) = (ast.literal_eval(node) for node in lists)
        assert offered == sorted(set(offered), key=lambda item: (_rank(item), item)), name


def _rank(name: str) -> int:
    """Constants first, then classes, then functions, as ruff sorts them."""
    if name.isupper():
        return 0
    return 1 if name[0].isupper() else 2


def test_every_offered_name_is_there() -> None:
    for name, tree in each_module(packages=False):
        known = {
            item
            for node in tree.body
            for item in (
                [node.name]
                if isinstance(node, ast.FunctionDef | ast.ClassDef)
                else [ast.unparse(target) for target in node.targets]
                if isinstance(node, ast.Assign)
                else [ast.unparse(node.target)]
                if isinstance(node, ast.AnnAssign)
                else [alias.asname or alias.name for alias in node.names]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        (offered,) = (
            ast.literal_eval(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        )
        assert set(offered) <= known, name


def test_every_file_fits_on_a_few_screens() -> None:
    sources = [*MODULES, *(ROOT / "ai" / "tests").rglob("*.py")]
    long = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in sources}
    assert {name: lines for name, lines in long.items() if lines > 400} == {}


def test_every_public_thing_says_what_it_is_for() -> None:
    missing = []
    for name, tree in each_module():
        classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
        if not ast.get_docstring(tree):
            missing.append(name)
        bodies = [tree.body, *(node.body for node in classes if not node.name.startswith("_"))]
        for body in bodies:
            for node in body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                    missing += [] if ast.get_docstring(node) else [f"{name}: {node.name}"]
    assert missing == []


def test_nothing_edits_the_import_path() -> None:
    edit = re.compile(r"\bsys\.path\b(?!_)|\bsite\." + "addsitedir")
    found = [
        path.relative_to(ROOT).as_posix()
        for path in tracked()
        if path.suffix == ".py"
        and edit.search(path.read_text(encoding="utf-8"))
        and path.name != Path(__file__).name
    ]
    assert found == []


def test_no_tracked_text_names_a_place_on_somebodys_machine() -> None:
    # Joined here, so that this file does not hold what it looks for.
    homes = "|".join(("home", "Users", "root", "work", "mnt", "media"))
    place = re.compile(rf"(?<![\w.:/*~$}}-])/(?:{homes})/[A-Za-z0-9_]|\b[A-Z]:\\\\?Users\\")
    found = {
        path.relative_to(ROOT).as_posix(): match[0]
        for path in tracked()
        if (match := place.search(path.read_text(encoding="utf-8", errors="replace")))
    }
    assert found == {}


def test_light_modules_import_nothing_heavy_and_raise_no_warning() -> None:
    code = (
        "import importlib, sys\n"
        f"for name in {LIGHT!r}:\n"
        "    importlib.import_module('vmaf_train.' + name)\n"
        f"    heavy = set({HEAVY!r}) & sys.modules.keys()\n"
        "    assert not heavy, (name, heavy)\n"
    )
    ran = python(code)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@pytest.fixture(scope="module")
def project() -> dict[str, object]:
    with (ROOT / "pyproject.toml").open("rb") as stream:
        loaded: dict[str, object] = tomllib.load(stream)["project"]
    return loaded


def test_every_dependency_states_the_oldest_version_that_works(project: dict[str, object]) -> None:
    dependencies = project["dependencies"]
    assert isinstance(dependencies, list)
    floors = {}
    for item in dependencies:
        stated = re.fullmatch(r"([A-Za-z0-9_-]+)>=([\d.]+)(,<[\d.]+)?", item)
        assert stated is not None, item
        floors[stated[1]] = _version(stated[2])
    # Older typer stops at --help beside click 8.2 and later; older exporters want other packages.
    assert floors["typer"] >= (0, 16)
    assert floors["torch"] >= (2, 9)
    assert "onnxscript" in floors
    assert "pydantic" in floors


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def test_the_built_in_tasks_are_entry_points_like_any_other(project: dict[str, object]) -> None:
    points = project["entry-points"]
    assert isinstance(points, dict)
    folders = {path.parent.name for path in PACKAGE.glob("tasks/*/__init__.py")}
    assert points["vmaf_train.tasks"] == {name: f"vmaf_train.tasks.{name}:PLUGIN" for name in folders}
