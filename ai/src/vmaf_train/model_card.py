"""Cards, pages and the index, rendered from the run record and the registry alone."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jinja2
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from vmaf_train.errors import PublishError
from vmaf_train.files import resource
from vmaf_train.registry import Registry
from vmaf_train.run_record import RunRecord
from vmaf_train.strict_yaml import dump_yaml

__all__ = [
    "LICENCE_NAME",
    "check_front_matter",
    "licence_text",
    "page_figures",
    "render_card",
    "render_failure",
    "render_index",
    "render_page",
    "tested_curves_name",
]

_HUB_LICENCES = frozenset({"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc-by-4.0", "cc0-1.0"})
"""Licence ids of the hub's list that this project would meet; every other one is ``other``."""
LICENCE_NAME = "LICENSE"
"""The file beside a card that holds the licence it names, where that is this project's own."""


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class _Metric(_Part):
    type: str
    name: str
    value: float


class _Named(_Part):
    name: str
    type: str


class _Result(_Part):
    task: dict[str, str]
    dataset: _Named
    metrics: list[_Metric]


class _ModelIndex(_Part):
    name: str
    results: list[_Result]


class FrontMatter(BaseModel):
    """The card's metadata in the hub's form: texts are texts, lists are lists."""

    model_config = ConfigDict(strict=True, extra="forbid", populate_by_name=True)

    license: str
    license_name: str | None = None
    license_link: str | None = None
    library_name: str
    pipeline_tag: str
    tags: list[str]
    datasets: list[str] | None = None
    metrics: list[str] | None = None
    model_index: list[_ModelIndex] | None = None


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("vmaf_train"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # Markdown, from a validated record
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = _cell
    return environment


def _cell(value: Any) -> str:
    """A value as it may stand in a cell of a Markdown table: one line, no bar of its own."""
    return " ".join(str(value).split()).replace("|", "\\|")


def _render(template: str, **values: Any) -> str:
    text = _environment().get_template(template).render(**values)
    # A line of dashes in some prose would end the front matter or make a heading of the line above.
    text = re.sub(r"(?m)^-{3,}[^\S\n]*$", "***", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _settings(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _settings(value, f"{prefix}{key}.")
        else:
            shown = ", ".join(str(item) for item in value) if isinstance(value, list) else str(value)
            yield prefix + key, shown


def _slug(name: str) -> str:
    """A dataset id that no YAML reader takes for a number."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unnamed"
    return slug if re.search(r"[a-z]", slug) else f"set-{slug}"


def _results(record: RunRecord) -> list[dict[str, Any]]:
    def row(name: str, dataset: str, metrics: Mapping[str, float | None]) -> dict[str, Any]:
        return {
            "task": {"type": record.card.task_type},
            "dataset": {"name": name, "type": _slug(dataset)},
            "metrics": [
                {"type": _slug(metric), "name": metric, "value": value}
                for metric, value in metrics.items()
                if value is not None
            ],
        }

    rows = []
    if record.data is not None and record.gate.metrics:
        names = " + ".join(corpus.name for corpus in record.data.corpora)
        rows.append(row(f"{names}, held-out validation", names, record.gate.metrics))
    for evaluation in record.evaluations:
        figures = {name: figure.value for name, figure in evaluation.metrics.items()}
        name = f"{record.test_name(evaluation)}, {evaluation.pairs:,} pairs, {evaluation.protocol}"
        rows.append(row(name, evaluation.dataset, figures))
    return [item for item in rows if item["metrics"]]


def _front_matter(record: RunRecord) -> str:
    licence = record.license.lower()
    known = licence in _HUB_LICENCES
    values: dict[str, Any] = {"license": licence if known else "other"}
    if not known:
        # The text of another's licence is not here to be laid beside the card.
        link = LICENCE_NAME if licence_text(record.license) else "#licence"
        values |= {"license_name": licence, "license_link": link}
    values |= {
        "library_name": "onnx",
        "pipeline_tag": record.card.task_type,
        "tags": sorted({"onnx", *record.card.tags}),
    }
    if record.data is not None and not record.data.synthetic:
        values["datasets"] = [_slug(corpus.name) for corpus in record.data.corpora]
    if results := _results(record):
        values["metrics"] = sorted({metric["type"] for result in results for metric in result["metrics"]})
        values["model-index"] = [{"name": record.id, "results": results}]
    return f"---\n{dump_yaml(values)}---\n"


def licence_text(name: str) -> str | None:
    """Return the text of the licence ``name`` if it is this project's own, else None.

    Raises:
        ConfigError: the package is not whole.
    """
    text = resource(LICENCE_NAME, LICENCE_NAME).read_text(encoding="utf-8")
    return text if text.partition("\n")[0].strip() == name else None


def check_front_matter(card: str) -> FrontMatter:
    """Read a card's front matter back and check its form.

    Raises:
        PublishError: it is missing, is no YAML, or a value has the wrong type or place.
    """
    parts = re.split(r"(?m)^---[^\S\n]*$\n?", card)
    try:
        if len(parts) != 3 or parts[0]:
            raise ValueError(f"{max(len(parts) - 1, 0)} lines of three dashes, not one pair at the top")
        values = yaml.safe_load(parts[1])
        if isinstance(values, dict) and "model-index" in values:
            values["model_index"] = values.pop("model-index")
        matter = FrontMatter.model_validate(values)
        if matter.license == "other" and not (matter.license_name and matter.license_link):
            raise ValueError("license: other without license_name and license_link")
    except (yaml.YAMLError, ValidationError, ValueError) as error:
        raise PublishError(
            "the card's front matter",
            expected="one YAML block in the hub's form",
            found=" ".join(str(error).split()),
            next_step="correct the task's card text or the renderer",
        ) from error
    return matter


def render_card(record: RunRecord) -> str:
    """Return the card ``<id>_card.md``: front matter in the hub's form, then Markdown.

    Raises:
        PublishError: the front matter does not read back as it should.
        ValueError: the record is of a run that made no file.
    """
    if record.export is None:
        raise ValueError(f"run {record.id} made no file")
    card = _front_matter(record) + "\n" + _render("card.md.j2", record=record)
    check_front_matter(card)
    return card


def page_figures(record: RunRecord) -> tuple[str, ...]:
    """Return the names of the pictures that the page of ``record`` shows."""
    names = [f"{record.id}_curves.svg"] if record.training.history else []
    if any(test.curves is not None for test in record.evaluations):
        names.append(tested_curves_name(record.id))
    return tuple(names)


def tested_curves_name(model_id: str) -> str:
    """Return the name of the picture of a model's curves on the sets that it was tested on."""
    return f"{model_id}_tested_curves.svg"


def render_page(record: RunRecord) -> str:
    """Return the docs page ``<id>.md``."""
    return _render(
        "page.md.j2",
        record=record,
        settings=list(_settings(record.config)),
        figures=page_figures(record),
        test_curves=tested_curves_name(record.id),
    )


def render_failure(record: RunRecord) -> str:
    """Return the docs page ``<id>_failed.md`` of a run whose gate was not met."""
    names = list(record.training.history[0].metrics) if record.training.history else []
    return _render("failed.md.j2", record=record, names=names, settings=list(_settings(record.config)))


def render_index(registry: Registry) -> str:
    """Return the model folder's ``README.md``."""
    return _render("index.md.j2", registry=registry)
