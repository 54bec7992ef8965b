from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from records import altered, tiny_record
from vmaf_train.errors import PublishError
from vmaf_train.model_card import (
    check_front_matter,
    licence_text,
    render_card,
    render_failure,
    render_index,
    render_page,
)
from vmaf_train.registry import Registry, registry_entry
from vmaf_train.run_record import RunRecord

EVALUATION = {
    "dataset": "ECSSD",
    "protocol": "resized: short side 256",
    "pairs": 1000,
    "digest": "e" * 64,
    "date": "2024-06-07",
    "model_sha256": next(iter(tiny_record().forms)),
    "licence": "for research # only",
    "metrics": {"F max": {"value": 0.8123, "low": 0.8012, "high": 0.8234}},
}
OTHER = "one | two\nthree"


def front_matter(card: str) -> dict[str, Any]:
    """What any YAML reader makes of the block at the top."""
    before, block, _ = re.split(r"(?m)^---$\n", card)
    assert before == ""
    values: dict[str, Any] = yaml.safe_load(block)
    return values


def rendered(record: RunRecord) -> dict[str, str]:
    return {
        "card": render_card(record),
        "page": render_page(record),
        "failure": render_failure(record),
        "index": render_index(Registry(models=(registry_entry(record),))),
    }


RECORDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "smoke": {"smoke": True},
    "untrained": {
        "data": None,
        "gate.metrics": {},
        "gate.applied": False,
        "gate.value": None,
        "training.steps": 0,
        "training.history": [],
        "training.best_epoch": None,
    },
    "bare": {
        "export.input_contract": {},
        "card.limits": [],
        "card.tags": [],
        "data.corpora.0.dropped": {},
        "data.corpora.0.findings": {},
        "data.corpora.0.url": None,
        "data.corpora.0.citation": "",
        "gate.metrics.iou": None,
    },
    "full": {
        "evaluations": [EVALUATION, EVALUATION],
        "card.how_to_read": "Read it.",
        "card.usage": "```\nuse it\n```",
        "data.corpora.0.copy_note": "without its folders",
        "training.resumed_at": [1],
        "training.byte_reproducible": False,
        "environment.processes": 2,
        "environment.commit": "0123456789ab+",
        "smoke": True,
    },
}


@pytest.mark.parametrize("name", RECORDS)
def test_what_is_rendered_is_whole_and_ends_with_one_newline(name: str) -> None:
    for text in rendered(tiny_record(changes=RECORDS[name])).values():
        assert not re.search(r"\{[{%#]|[#%}]\}|Undefined|\bNone\b(?! stated)", text)
        assert text.endswith("\n")
        assert not text.endswith("\n\n")
        assert "\n\n\n" not in text
        assert [line for line in text.splitlines() if line != line.rstrip()] == []


@pytest.mark.parametrize(
    ("commit", "told"),
    [
        (None, "vmaf_train 0.1.0."),
        ("0123456789ab", "vmaf_train 0.1.0 at commit `0123456789ab`."),
        ("0123456789ab+", "vmaf_train 0.1.0 at commit `0123456789ab` with changes that are in no commit."),
    ],
)
def test_the_commit_of_the_code_is_told_where_it_is_known(commit: str | None, told: str) -> None:
    texts = rendered(tiny_record(changes={"environment.commit": commit}))
    for text in (texts["card"], texts["page"], texts["failure"]):
        assert f", {told}\n" in text


@pytest.mark.parametrize("name", RECORDS)
def test_every_table_has_as_many_cells_in_each_row_as_in_its_head(name: str) -> None:
    record = tiny_record(changes=RECORDS[name])
    texts = {
        "export.input_contract": {OTHER: OTHER},
        "config": {"a": OTHER, "b": [OTHER], "c": {"d": OTHER}},
        "card.title": OTHER,
        "license": "one | two",
    }
    if record.data is not None:
        corpus = {"licence": OTHER, "copy_note": OTHER, "last_modified": OTHER, "url": OTHER}
        texts |= {f"data.corpora.0.{key}": value for key, value in corpus.items()}
        texts |= {"data.corpora.0.dropped": {OTHER: 1}, "data.corpora.0.findings": {OTHER: 1}}
        texts |= {"gate.metrics": {OTHER: 0.5}}
    for text in rendered(altered(record, texts)).values():
        width = 0
        for line in text.splitlines():
            if not line.startswith("|"):
                width = 0
                continue
            cells = len(re.findall(r"(?<!\\)\|", line)) - 1
            width = width or cells
            assert cells == width, line
            assert line.endswith("|")


def test_the_licence_link_leads_to_a_file_beside_the_card_or_to_a_heading_of_it() -> None:
    assert licence_text("BSD-3-Clause-Plus-Patent") is not None
    card = render_card(tiny_record(changes={"license": "A-Third-Party-Licence"}))
    assert licence_text("A-Third-Party-Licence") is None
    assert front_matter(card)["license_link"] == "#licence"
    assert "\n## Licence\n" in card
    assert "license_link" not in front_matter(render_card(tiny_record(changes={"license": "MIT"})))


def test_weights_that_no_step_changed_are_not_called_trained() -> None:
    trained, untrained = tiny_record(), tiny_record(changes=RECORDS["untrained"])
    for render in (render_card, render_page):
        assert "| parameters, trained | 11,284 |" in render(trained)
        text = render(untrained)
        assert "| parameters, none of them trained | " in text
        assert "Trained on" not in text
        assert "\nMade on A processor" in text


def test_a_validation_metric_is_shown_with_its_interval_where_it_has_one() -> None:
    name = tiny_record().gate.metric
    plain, figure = tiny_record(), {name: {"value": 0.75, "low": 0.5, "high": 0.875}}
    assert "95 %" not in render_card(plain)
    for render in (render_card, render_page):
        text = render(tiny_record(changes={"gate.intervals": figure}))
        assert "| measure | value (95 % interval) | on |" in text
        assert f"| {name} | 0.7500 (0.5000 to 0.8750) |" in text


def test_the_front_matter_is_what_the_hub_takes() -> None:
    values = front_matter(render_card(tiny_record(changes={"evaluations": [EVALUATION]})))
    assert values["license"] == "other"
    assert values["license_name"] == "bsd-3-clause-plus-patent"
    assert values["license_link"] == "LICENSE"
    assert values["tags"] == ["onnx", "toy"]
    assert values["datasets"] == ["toy-tr"]
    (model,) = values["model-index"]
    assert model["name"] == "tiny_v1"
    assert [result["dataset"]["name"] for result in model["results"]] == [
        "TOY-TR, held-out validation",
        "ECSSD, 1,000 pairs, resized: short side 256",
    ]
    assert model["results"][0]["metrics"][0] == {"type": "iou", "name": "iou", "value": 0.6012}
    assert values["metrics"] == ["f-max", "iou", "mae"]


def test_a_licence_of_the_hubs_list_stands_by_its_own_name() -> None:
    values = front_matter(render_card(tiny_record(changes={"license": "MIT"})))
    assert values["license"] == "mit"
    assert "license_name" not in values


NUMBERS = ["007", "1e5", "2024-01-01", "0x1F", "0o17", "3.14", "1_000", "12:30:45"]


@pytest.mark.parametrize("name", NUMBERS)
def test_a_data_set_or_tag_that_looks_like_a_number_stays_a_text(name: str) -> None:
    changes = {"data.corpora.0.name": name, "card.tags": [name]}
    card = render_card(tiny_record(changes=changes))
    values = front_matter(card)
    assert all(isinstance(item, str) for item in values["datasets"] + values["tags"])
    assert name in values["tags"]
    # YAML 1.2 knows more numbers than PyYAML: they must be quoted in the text itself.
    number = re.compile(r"[-+]?(\d[\d_]*(\.\d*)?([eE][-+]?\d+)?|0[xob][0-9a-fA-F]+)")
    items = re.findall(r"(?m)^- (.*)$", card.split("---\n")[1])
    assert [item for item in items if number.fullmatch(item)] == []


@pytest.mark.parametrize(
    "text", ["on", "null", "yes: no", "- a", "#tag", "*a", "a\nb", "@x", "", "é", "'", '"', "---"]
)
def test_any_text_survives_in_the_front_matter(text: str) -> None:
    values = front_matter(render_card(tiny_record(changes={"card.tags": [text], "card.task_type": text})))
    assert set(values["tags"]) == {"onnx", text}
    assert values["pipeline_tag"] == text


def test_a_title_with_a_colon_and_a_hash_is_the_heading() -> None:
    card = render_card(tiny_record(changes={"card.title": "A map: what stands out # in a frame"}))
    assert "\n# A map: what stands out # in a frame\n" in card
    front_matter(card)


@pytest.mark.parametrize("dashes", ["---", "--- ", "-----", "---\t", "a\n---", "---\nlicense: mit\n---\n"])
def test_dashes_in_prose_never_end_the_front_matter(dashes: str) -> None:
    changes = {
        "card.summary": f"One.\n{dashes}\nTwo.",
        "card.intended_use": dashes,
        "card.limits": [f"x\n{dashes}"],
        "license": "MIT",
        "reproducer": f"a\n{dashes}",
    }
    card = render_card(tiny_record(changes=changes))
    assert front_matter(card)["license"] == "mit"
    assert len(re.findall(r"(?m)^-{3,}\s*$", card)) == 2
    assert "One.\n" in card
    assert "Two." in card


def test_a_metric_that_could_not_be_computed_is_left_out_of_the_front_matter() -> None:
    values = front_matter(render_card(tiny_record(changes={"gate.metrics.iou": None})))
    assert [metric["name"] for metric in values["model-index"][0]["results"][0]["metrics"]] == ["mae"]
    assert values["metrics"] == ["mae"]
    card = render_card(tiny_record(changes={"gate.metrics": {"iou": None}}))
    assert "model-index" not in front_matter(card)
    assert "| iou | not computed |" in card


def test_no_tags_and_no_data_still_make_valid_front_matter() -> None:
    values = front_matter(render_card(tiny_record(changes=RECORDS["untrained"] | {"card.tags": []})))
    assert values["tags"] == ["onnx"]
    assert "datasets" not in values


def test_made_up_data_is_no_data_set_of_the_hub() -> None:
    assert "datasets" not in front_matter(render_card(tiny_record(changes={"data.synthetic": True})))


GOOD = render_card(tiny_record())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("---\n", ""),
        ("license: other", "license: 7"),
        ("license_name: bsd-3-clause-plus-patent\n", ""),
        ("- toy\n", "- 7\n"),
        ("tags:\n- onnx\n- toy\n", "tags: toy\n"),
        ("datasets:\n- toy-tr\n", "datasets:\n- [toy-tr]\n"),
        ("value: 0.6012", "value: .nan"),
        ("value: 0.6012", "value: '0.6012'"),
        ("library_name: onnx\n", "library_name: onnx\nunknown: x\n"),
        ("tags:\n", "tags: [\n"),
        ("\n## Licence", "\n---\n## Licence"),
    ],
)
def test_front_matter_out_of_form_is_refused(old: str, new: str) -> None:
    check_front_matter(GOOD)
    assert old in GOOD
    with pytest.raises(PublishError, match="front matter: expected one YAML block"):
        check_front_matter(GOOD.replace(old, new, 1))


QUOTED: dict[str, tuple[Any, str]] = {
    "training.parameters": (112841, "112,841"),
    "gate.metrics.iou": (0.7654, "0.7654"),
    "gate.min_value": (0.55, "0.55"),
    "data.val": (528, "528 held"),
    "data.train": (10025, "10,025 samples"),
    "data.digest": ("9" * 64, "9" * 64),
    "data.corpora.0.found": (10553, "10,553"),
    "data.corpora.0.kept": (10550, "10,550"),
    "data.corpora.0.published_pairs": (10559, "10,559"),
    "data.corpora.0.length_bytes": (274882137, "274,882,137"),
    "data.corpora.0.dropped": ({"size differs": 3}, "size differs: 3"),
    "data.corpora.0.findings": ({"cmyk": 9}, "cmyk: 9"),
    "export.sha256": ("8" * 64, "8" * 64),
    "export.size_bytes": (459001, "459,001"),
    "export.opset": (16, "| 16, 8 |"),
    "export.ir_version": (9, "| 17, 9 |"),
    "export.nodes": (31, "31 nodes"),
    "export.ops": (["Clip", "Relu"], "Clip, Relu"),
    "export.size_multiple": (32, "multiples of 32"),
    "export.min_size": (64, "at least 64"),
    "export.parity_limit": (2.5e-6, "(limit 2.5e-06)"),
    "export.parity.0.max_abs_diff": (9.94e-6, "9.94e-06"),
    "environment.threads": (5, "5 threads"),
    "environment.torch": ("2.9.7", "torch 2.9.7"),
}


@pytest.mark.parametrize("key", QUOTED)
def test_every_number_comes_from_the_record(key: str) -> None:
    value, shown = QUOTED[key]
    before, after = tiny_record(), tiny_record(changes={key: value})
    for render in (render_card, render_page):
        assert shown not in render(before)
        assert shown in render(after)


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("training.steps", 16450, "16,450 steps"),
        ("training.seconds", 42.0, "42 seconds"),
        ("training.seconds", 5400.0, "90 minutes"),
        ("training.best_epoch", 1, "epoch 1,"),
        ("training.resumed_at", [1], "taken up again after epoch 1."),
        ("config.fit.epochs", 77, "| `fit.epochs` | 77 |"),
        ("config.widths", [3, 5], "| `widths` | 3, 5 |"),
    ],
)
def test_the_page_tells_the_recipe_and_its_course(key: str, value: object, shown: str) -> None:
    assert shown not in render_page(tiny_record())
    assert shown in render_page(tiny_record(changes={key: value}))


def test_held_out_pictures_that_were_trained_on_too_are_told_where_there_are_any() -> None:
    twins = {
        count: render_card(tiny_record(changes={"data.held_out_twins": count})) for count in (None, 0, 1, 2)
    }
    assert twins[None] == twins[0] == render_card(tiny_record())
    assert "). Data digest" in twins[0]
    assert "). 1 of those held out shows a picture that is also among the training samples, " in twins[1]
    assert "). 2 of those held out show pictures that are also among the training" in twins[2]
    assert "byte for byte. Data digest" in twins[2]


def test_an_evaluation_is_quoted_with_its_interval_and_terms() -> None:
    for render in (render_card, render_page):
        text = render(tiny_record(changes={"evaluations": [EVALUATION]}))
        assert "| F max | 0.8123 (0.8012 to 0.8234) |" in text
        assert "**ECSSD**, 1000 pairs, measured 2024-06-07: resized: short side 256." in text


def test_a_smoke_model_says_so_everywhere() -> None:
    texts = rendered(tiny_record(changes={"smoke": True}))
    assert all("not for use" in texts[name] for name in ("card", "page", "index"))
    assert "not for use" not in render_card(tiny_record())


def test_a_failure_page_says_what_was_asked_and_what_was_found() -> None:
    failed = {"gate.passed": False, "export": None, "gate.value": 0.3123}
    text = render_failure(tiny_record(changes=failed))
    assert "at least 0.5 over 61 validation samples; the best epoch gave 0.3123." in text
    assert "| 2 | 0.7500 | 0.6000 | 0.1000 | 32.0 |" in text
    assert "![Loss and validation metrics over the epochs](tiny_v1_failed_curves.svg)" in text
    nothing = render_failure(tiny_record(changes=failed | {"gate.value": None}))
    assert "gave not computed (no finite number, which proves nothing)" in nothing


def test_a_metric_of_some_samples_is_told_with_their_number() -> None:
    part = {"gate.samples": {"iou": 44}}
    text = render_card(tiny_record(changes=part))
    assert "| iou | 0.6012 | 44 held-out validation samples" in text
    assert "| mae | 0.0987 | 61 held-out validation samples" in text
    failed = {"gate.passed": False, "export": None}
    assert "at least 0.5 over 44 validation samples" in render_failure(tiny_record(changes=part | failed))
    assert "Validation iou 0.6012 over 44 samples." in registry_entry(tiny_record(changes=part)).notes


def test_a_card_needs_a_file() -> None:
    with pytest.raises(ValueError, match="made no file"):
        render_card(tiny_record(changes={"export": None}))


def test_an_index_without_models_says_so() -> None:
    assert "| none yet |" in render_index(Registry())
