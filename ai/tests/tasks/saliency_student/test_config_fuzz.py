"""Whatever a config says: one line and a known exit code, or a model that passed; never a traceback.

VMAF_TRAIN_FUZZ_CASES sets how many configs are tried.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pairs.made_files import disc, photo
from vmaf_train import pipeline
from vmaf_train.config_files import load_config
from vmaf_train.discovery import load_task
from vmaf_train.errors import VmafTrainError
from vmaf_train.onnx_export import ExportedModel
from vmaf_train.pipeline import RunPaths, run
from vmaf_train.registry import load_registry, load_sidecar
from vmaf_train.tasks.saliency_student.config import SaliencyConfig
from vmaf_train.verify import verify_problems

CASES = int(os.environ.get("VMAF_TRAIN_FUZZ_CASES", "8"))
OUTCOMES: Counter[str] = Counter()


@st.composite
def overrides(draw: st.DrawFn) -> dict[str, Any]:
    """Settings that a person might try, and some that nobody should."""
    crop = draw(st.sampled_from((8, 16, 32)))
    return {
        "id": "fuzzed_v1",
        "optimiser.lr": draw(st.sampled_from((1e-6, 1e-3, 1.0, 1e3, 1e6))),
        "optimiser.name": draw(st.sampled_from(("adam", "adamw"))),
        "schedule.name": draw(st.sampled_from(("cosine", "constant"))),
        "augmentation.crop": crop,
        "augmentation.short_side": crop + draw(st.sampled_from((0, 1, 9))),
        "validation.size": draw(st.sampled_from((8, 24))),
        "validation.share": draw(st.sampled_from((0.2, 0.5, 0.01, 0.9))),
        "loss.bce_weight": draw(st.sampled_from((1.0, 100.0))),
        "loss.dice_weight": draw(st.sampled_from((0.0, 1.0, 100.0))),
        "fit.batch_size": draw(st.integers(1, 3)),
        "fit.epochs": (1, 2, 1, 2, 1, 2, 0)[draw(st.integers(0, 6))],
        "fit.gradient_clip": draw(st.sampled_from((0.0, 1e-3))),
        "fit.ema_decay": draw(st.sampled_from((0.0, 0.9))),
        "gate.min_value": draw(st.sampled_from((-1.0, 0.0, 0.3, 2.0))),
    }


PICTURES = st.fixed_dictionaries(
    {
        "pairs": st.sampled_from((5, 6, 4, 2, 1)),
        "size": st.sampled_from(((20, 30), (8, 8), (1, 1), (2, 200), (300, 4))),
        "masks": st.sampled_from(("disc", "empty", "full")),
    }
)


@pytest.fixture(scope="module", autouse=True)
def _remembered_export() -> Iterator[None]:
    """Let the same untrained network be exported once; print how the cases ended."""
    real, known = pipeline.__dict__["export_onnx"], dict[bytes, ExportedModel]()

    def export(network: Any, *rest: Any) -> ExportedModel:
        weights = b"".join(tensor.numpy().tobytes() for tensor in network.state_dict().values())
        if weights not in known:
            known[weights] = real(network, *rest)
        return known[weights]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "export_onnx", export)
        yield
    print(f"\n{sum(OUTCOMES.values())} configs: {dict(OUTCOMES.most_common())}")


def write_pairs(root: Path, pictures: dict[str, Any]) -> None:
    height, width = pictures["size"]
    for number in range(pictures["pairs"]):
        for kind, suffix in (("Image", "jpg"), ("Mask", "png")):
            path = root / f"DUTS-TR-{kind}" / f"{number}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "Image":
                picture = photo(number, height, width)
            elif pictures["masks"] == "disc":
                picture = disc(number, height, width)
            else:
                picture = Image.new("L", (width, height), 255 if pictures["masks"] == "full" else 0)
            picture.save(path)


@settings(
    max_examples=CASES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(overrides(), PICTURES)
def test_no_config_ends_in_a_traceback_or_in_weights_that_did_not_pass(
    values: dict[str, Any], pictures: dict[str, Any]
) -> None:
    work = Path(tempfile.mkdtemp())
    refused: VmafTrainError | None = None
    try:
        write_pairs(work / "set", pictures)
        try:
            changes = values | {"data.root": work / "set", "data.cache_dir": work / "cache", "fit.threads": 1}
            config = load_config(SaliencyConfig, None, (), changes)
            paths = RunPaths(work / "run", work / "models", work / "docs")
            torch.manual_seed(0)  # one untrained network for all cases
            run(load_task("saliency_student"), config, paths)
        except VmafTrainError as error:
            refused = error
        OUTCOMES[type(refused).__name__ if refused else "published"] += 1
        if refused:
            assert "\n" not in str(refused)
            assert refused.exit_code in {1, 2, 3}
            assert not list(work.glob("models/*.onnx"))
            return
        (row,) = load_registry(work / "models").models
        record = load_sidecar(work / "models", row.id).record
        assert record.gate.passed
        assert record.gate.value is not None
        assert record.gate.value >= values["gate.min_value"]
        assert verify_problems(work / "models", work / "docs") == []
    finally:
        shutil.rmtree(work)
