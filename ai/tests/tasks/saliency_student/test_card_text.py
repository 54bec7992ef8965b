from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import vmaf_train
from records import tiny_record
from vmaf_train.config import ExportConfig
from vmaf_train.config_files import find_config_file, load_config
from vmaf_train.model_card import render_card, render_page
from vmaf_train.onnx_export import export_onnx
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


@pytest.mark.parametrize(
    ("name", "sides"), [("saliency_student_v1", (37, 50)), ("saliency_student_v2", (5, 9))]
)
def test_the_use_that_is_shown_runs(
    name: str, sides: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = PLUGIN.create(
        load_config(PLUGIN.config_type, find_config_file(name), [], {"data.root": tmp_path, "id": "mine"})
    )
    (tmp_path / "model" / "tiny").mkdir(parents=True)
    exported = export_onnx(task.build_model().eval(), task.export_spec(), ExportConfig())
    (tmp_path / "model" / "tiny" / "mine.onnx").write_bytes(exported.data)
    Image.fromarray(np.full((*sides, 3), 90, np.uint8)).save(tmp_path / "frame.png")
    monkeypatch.chdir(tmp_path)
    block = task.card_text().usage.split("```python")[1].split("```")[0]
    shown: dict[str, Any] = {}
    exec(compile(block, "usage", "exec"), shown)
    assert shown["saliency_map"].shape == (1, 1, *sides)
    assert 0.0 <= shown["saliency_mean"] <= 1.0


def test_how_held_out_samples_are_judged_stands_on_card_and_page() -> None:
    record = tiny_record(changes={"card": TEXT.model_dump(mode="json")})
    for text in (render_card(record), render_page(record)):
        assert "scaled to a short side of 256 pixels, its central 256x256 pixels" in text


def test_the_contract_says_what_depth_is_not_supported() -> None:
    page = Path(vmaf_train.__file__).parents[3] / "docs" / "ai" / "onnx-contract.md"
    if not page.exists():
        print("skipped: an installed package has no docs")
        return
    assert "10-bit samples and more\nare not supported" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("config", "epochs", "summary", "limit"),
    [
        ("saliency_student_v1", 1, "A Tiny U-Net", "Trained on still photographs"),
        (
            "smoke",
            1,
            "It was trained on scenes drawn by a program",
            "Trained on scenes drawn by a program alone",
        ),
        ("smoke", 0, "It was not trained", "Not trained: "),
    ],
)
def test_the_card_says_what_the_weights_were_trained_on(
    config: str, epochs: int, summary: str, limit: str
) -> None:
    changes = {"data.root": "unused"} if config != "smoke" else {}
    resolved = load_config(
        PLUGIN.config_type, find_config_file(config), [], {"fit.epochs": epochs, **changes}
    )
    text = PLUGIN.create(resolved).card_text()
    assert text.summary.startswith(summary)
    said = [line for line in text.limits if "rained" in line]
    assert len(said) == 1
    assert said[0].startswith(limit)
