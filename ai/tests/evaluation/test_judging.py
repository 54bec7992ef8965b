from __future__ import annotations

from pathlib import Path

import numpy as np
import py_sod_metrics
import pytest

from evaluation.made_models import Answers, channel_model, opened, toy_pairs
from vmaf_train.errors import ContractError
from vmaf_train.evaluation.blocks import measure_blocks
from vmaf_train.evaluation.feed import Feed
from vmaf_train.evaluation.judging import judge, native_map, truth_of
from vmaf_train.frames import rgb_to_tensor
from vmaf_train.intervals import figures
from vmaf_train.onnx_session import MapModel, open_model
from vmaf_train.pairs import decode_image

NAMES = ["IoU at 0.5", "F max", "F mean", "F weighted", "S-measure", "E max", "E mean", "MAE"]


def test_the_figures_of_a_set_are_those_of_the_library_run_over_it(tmp_path: Path) -> None:
    model, pairs = opened(tmp_path), toy_pairs(tmp_path)
    (column,) = judge([model], pairs, [Feed()])
    f = py_sod_metrics.FmeasureV2(
        {"f": py_sod_metrics.FmeasureHandler(beta=0.3, with_dynamic=True, with_adaptive=False)}
    )
    s, e = py_sod_metrics.Smeasure(), py_sod_metrics.Emeasure()
    weighted, mae = py_sod_metrics.WeightedFmeasure(), py_sod_metrics.MAE()
    ious = []
    for pair in pairs:
        values = model.run(rgb_to_tensor(decode_image(pair.image)))[0, 0].astype(np.float64)
        truth = truth_of(pair)
        ious.append(((values >= 0.5) & truth).sum() / ((values >= 0.5) | truth).sum())
        for measure in (f, s, e, weighted, mae):
            measure.step(values, truth, normalize=False)
    curve, aligned = f.get_results()["f"]["dynamic"], e.get_results()["em"]["curve"]
    found = {name: figure.value for name, figure in figures(column.samples()).items()}
    assert list(found) == NAMES
    wanted = [
        *(np.mean(ious), curve.max(), curve.mean(), weighted.get_results()["wfm"]),
        *(s.get_results()["sm"], aligned.max(), aligned.mean(), mae.get_results()["mae"]),
    ]
    assert list(found.values()) == pytest.approx(wanted)
    assert column.curve("f")[::-1] == pytest.approx(curve)


def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    models = [opened(tmp_path, "a"), opened(tmp_path, "b", "-1, 2, 0")]
    pairs, feeds = toy_pairs(tmp_path), [Feed(50), Feed(50, yuv=True)]
    alone, together = (judge(models, pairs, feeds, block=16, workers=workers) for workers in (1, 4))
    assert [column.label for column in alone] == ["a", "a YUV", "b", "b YUV"]
    for one, other in zip(alone, together, strict=True):
        for name, values in one.samples().items():
            assert np.array_equal(values, other.samples()[name], equal_nan=True)


def test_every_column_is_what_its_model_gives_when_judged_alone(tmp_path: Path) -> None:
    models = [opened(tmp_path, "a"), opened(tmp_path, "b", "-1, 2, 0")]
    pairs, feeds = toy_pairs(tmp_path, 3), [Feed(), Feed(yuv=True)]
    columns = judge(models, pairs, feeds)
    single = [judge([model], pairs, [feed])[0] for model in models for feed in feeds]
    for one, other in zip(columns, single, strict=True):
        assert np.array_equal(one.samples()["MAE"], other.samples()["MAE"])
    assert len({float(column.samples()["MAE"].mean()) for column in columns}) == 4


def test_blocks_are_those_of_the_fed_frame(tmp_path: Path) -> None:
    model, pairs = opened(tmp_path), toy_pairs(tmp_path, 2)
    (column,) = judge([model], pairs, [Feed(80)], block=16)
    picture, truth = decode_image(pairs[0].image), truth_of(pairs[0])
    values = model.run(rgb_to_tensor(Feed(80).frame(picture)))[0, 0]
    wanted = measure_blocks(values, truth.repeat(2, axis=0).repeat(2, axis=1), 16)
    samples = column.samples()
    assert samples["block 16 IoU"][0, 0] == wanted.iou
    assert samples["block 16 rank correlation"][0, 0] == wanted.rank


def test_a_map_comes_back_to_the_size_of_its_mask(tmp_path: Path) -> None:
    model, (pair, *_) = opened(tmp_path), toy_pairs(tmp_path, 2)
    for feed in (Feed(), Feed(97), Feed(16, yuv=True)):
        assert native_map(model, feed, decode_image(pair.image)).shape == (40, 60)


def test_progress_is_told_to_the_end(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    judge([opened(tmp_path)], toy_pairs(tmp_path, 3), [Feed()], progress=lambda *step: told.append(step))
    assert told == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1, 1.5])
def test_a_map_out_of_range_is_refused_with_the_picture_that_showed_it(tmp_path: Path, value: float) -> None:
    good = opened(tmp_path)
    bad = MapModel(good.path, good.sha256, "picture", "shown", 1, 1, 1, Answers(0.5, value))
    with pytest.raises(ContractError, match=r"first\.onnx at 40x60, on 0001\.jpg: expected finite values"):
        judge([bad], toy_pairs(tmp_path, 3), [Feed()], workers=1)


def test_models_of_one_name_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    paths = []
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
        paths.append(channel_model(tmp_path / folder / "m.onnx"))
    columns = judge([open_model(path) for path in paths], toy_pairs(tmp_path, 2), [Feed()])
    assert [column.label for column in columns] == [str(path) for path in paths]


def test_a_protocol_says_how_frames_were_padded(tmp_path: Path) -> None:
    good = opened(tmp_path)
    padded = MapModel(good.path, good.sha256, "picture", "shown", 8, 16, 1, good.session)
    (column,) = judge([padded], toy_pairs(tmp_path, 2), [Feed(50)])
    assert column.protocol == (
        "fed at short side 50, the map brought back to native size, "
        "height and width edge-padded to multiples of 8 of at least 16, the map cropped back"
    )
