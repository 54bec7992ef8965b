from __future__ import annotations

from pathlib import Path

import vmaf_train
from records import tiny_record
from vmaf_train.config import find_config_file, load_config
from vmaf_train.model_card import render_card, render_page
from vmaf_train.registry import Sidecar, sidecar_text
from vmaf_train.tasks.saliency_student import PLUGIN

TEXT = PLUGIN.create(
    load_config(PLUGIN.config_type, find_config_file("saliency_student_v1"), [], {"data.root": "unused"})
).card_text()


def test_what_kind_of_frames_is_not_supported_stands_on_card_page_and_sidecar() -> None:
    record = tiny_record(changes={"card": TEXT.model_dump(mode="json")})
    sidecar = Sidecar(
        kind="nr", name="tiny_v1", input_name="input", output_name="map", onnx_opset=17, record=record
    )
    for text in (render_card(record), render_page(record), sidecar_text(sidecar)):
        assert "10-bit and 4:0:0 are not supported" in text


def test_the_card_says_that_frames_are_judged_one_by_one() -> None:
    assert "It has no memory: each frame is judged alone." in render_card(
        tiny_record(changes={"card": TEXT.model_dump(mode="json")})
    )


def test_the_contract_says_what_depth_is_not_supported() -> None:
    page = Path(vmaf_train.__file__).parents[3] / "docs" / "ai" / "onnx-contract.md"
    if not page.exists():
        print("skipped: an installed package has no docs")
        return
    assert "10-bit samples and more\nare not supported" in page.read_text(encoding="utf-8")
