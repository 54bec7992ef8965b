"""The documentation: every page is reached, every link leads somewhere, every block runs or is the source."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from fresh import make_environment
from records import python
from vmaf_train.cli import app
from vmaf_train.learner import trainable_parameters
from vmaf_train.tasks.saliency_student.config import ModelConfig
from vmaf_train.tasks.saliency_student.model import build_model

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs" / "ai"
EXAMPLE = ROOT / "ai" / "examples" / "third_party_task"
PAGES = sorted(DOCS.rglob("*.md"))
BLOCK = re.compile(r"^```(\S*)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


def blocks(page: str, language: str) -> list[tuple[str, str]]:
    """Title and text of each block of a language."""
    found = BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))
    return [(title, text) for kind, title, text in found if kind == language]


def patterns(nav: Any) -> Iterator[str]:
    """Every page or glob that the navigation names."""
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, list):
        for item in nav:
            yield from patterns(item)
    elif "glob" in nav:
        yield nav["glob"]
    else:
        for section in nav.values():
            yield from patterns(section)


def test_every_page_is_in_the_navigation() -> None:
    nav = list(patterns(yaml.safe_load((DOCS / ".nav.yml").read_text(encoding="utf-8"))["nav"]))
    # A glob of a folder is for what is generated or grows; a page of its own stands there by name.
    assert {name for name in map(name_of, PAGES) if not any(fnmatch(name, item) for item in nav)} == set()
    assert nav.index("*") == len(nav) - 1
    named = [item for item in nav if "*" not in item]
    assert len(named) == len(set(named))
    assert {"index.md", "training.md", "saliency-student.md", "adding-a-task.md", "cards.md"} <= set(named)


def slug(heading: str) -> str:
    plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


def prose(page: Path) -> str:
    return BLOCK.sub("", page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        if not linked.exists():
            dead.append(target)
        elif anchor:
            headings = re.findall(r"^#+ (.+)$", prose(linked), re.MULTILINE)
            dead += [] if anchor in map(slug, headings) else [target]
    assert dead == []


def test_every_block_of_the_tutorial_is_the_example_itself() -> None:
    titled = [*blocks("adding-a-task.md", "python"), *blocks("adding-a-task.md", "toml")]
    assert {title for title, _ in titled} == {
        "pyproject.toml",
        *(f"src/noise_level/{name}.py" for name in ("__init__", "data", "model", "task")),
    }
    for title, text in titled:
        assert text in (EXAMPLE / title).read_text(encoding="utf-8"), f"{title} no longer holds:\n{text}"
    ((_, tree),) = blocks("adding-a-task.md", "text")
    listed = set(re.findall(r"^    (\S+)", tree, re.MULTILINE))
    there = {path.relative_to(EXAMPLE).as_posix() for path in EXAMPLE.rglob("*") if path.is_file()}
    assert listed == {name for name in there if name.endswith((".py", ".toml"))}


def test_every_command_of_the_tutorial_works_in_a_fresh_environment(tmp_path: Path) -> None:
    fresh = make_environment(tmp_path / "venv")
    ((_, commands),) = blocks("adding-a-task.md", "sh")
    folder = tmp_path
    said = {}
    for line in commands.splitlines():
        words = shlex.split(line)
        if words[0] == "cd":
            folder = folder / words[1]
            continue
        ran = fresh.run(*words, cwd=folder)
        assert ran.returncode == 0, f"{line}\n{ran.stdout}{ran.stderr}"
        said[words[0]] = ran.stdout
    assert "2 passed" in said["pytest"]
    assert (folder / "build" / "model" / "tiny" / "noise_level_v0_card.md").is_file()
    again = fresh.run("vmaf-train", "new-task", "noise_level", cwd=folder)
    assert again.returncode == 2
    assert "a task of that name in noise-level" in again.stderr


def test_every_block_of_the_python_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = "\n".join(text for _, text in blocks("python.md", "python"))
    ran = python(code)
    assert ran.returncode == 0, ran.stderr
    assert "17 ('Conv', 'Sigmoid')" in ran.stdout
    assert ran.stdout.count("model my_placeholder") + ran.stdout.count("build/run") == 1, ran.stdout


def test_every_name_of_the_python_page_is_offered() -> None:
    import vmaf_train

    text = (DOCS / "python.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)", text, re.MULTILINE)) == set(vmaf_train.__all__)


def test_the_weights_that_the_student_page_counts_are_those_of_the_networks() -> None:
    text = (DOCS / "saliency-student.md").read_text(encoding="utf-8")
    counted = {
        decoder: f"{trainable_parameters(build_model(ModelConfig(decoder=decoder))):,}"
        for decoder in ("conv_transpose", "resize_conv")
    }
    assert f"| trainable weights | {counted['conv_transpose']} |" in text
    assert f"({counted['resize_conv']} weights)" in text


def test_the_readme_is_true_of_the_tree_and_of_the_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = re.findall(r"^((?:ai|core|model|docs)/\S*) ", text, re.MULTILINE)
    assert len(tree) > 8
    assert [place for place in tree if not (ROOT / place).exists()] == []
    named = set(re.findall(r"^\| `vmaf-train ([a-z-]+)", text, re.MULTILINE))
    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    assert named <= known
    assert {"run", "tasks", "new-task", "doctor", "check", "verify", "card"} <= named
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"(?:^|`|; |, )make ([a-z-]+)", text, re.MULTILINE)) <= set(targets)


def test_a_warning_stops_the_site() -> None:
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert yaml.safe_load(settings)["strict"] is True
    # Quiet mkdocs counts no warnings, and so would let a dead link through.
    assert re.search(r"mkdocs build$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
