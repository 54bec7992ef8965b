from __future__ import annotations

import os
import resource
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from onnx import parser

from records import Folders, tiny_model
from vmaf_train.errors import ContractError
from vmaf_train.onnx_session import MapModel, open_model

# Two halvings and two doublings beside a skip, as in a U-Net: sizes must be multiples of 4.
UNET = """
<ir_version: 8, opset_import: ["" : 17]>
unet (float[1,3,H,W] frame) => (float[1,1,H,W] shown)
<float[1,3,1,1] mix = {0.25, 0.5, 0.125}, float[1,1,2,2] up = {1, 0.5, 0.25, 0.125},
 float[1,2,1,1] head = {1, -1}>
{
    a = Conv (frame, mix)
    p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (a)
    q = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (p)
    u = ConvTranspose <strides = [2, 2]> (q, up)
    v = ConvTranspose <strides = [2, 2]> (u, up)
    both = Concat <axis = 1> (a, v)
    logits = Conv (both, head)
    shown = Sigmoid (logits)
}
"""
GRAPH = """
<ir_version: 8, opset_import: ["" : 17]>
graph ({INPUT}) => ({OUTPUT})
<float[1,3,1,1] mix = {0.25, 0.5, 0.125}>
{ {BODY} }
"""


def written(path: Path, text: str) -> Path:
    path.write_bytes(parser.parse_model(text).SerializeToString())
    return path


def graph(body: str, source: str = "float[1,3,H,W] x", result: str = "float[1,1,H,W] y") -> str:
    return GRAPH.replace("{INPUT}", source).replace("{OUTPUT}", result).replace("{BODY}", body)


def frame(height: int, width: int, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(seed).standard_normal((1, 3, height, width)).astype(np.float32)


@pytest.fixture
def unet(tmp_path: Path) -> MapModel:
    return open_model(written(tmp_path / "unet.onnx", UNET))


def test_names_and_digest_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "any.name.onnx"
    path.write_bytes(tiny_model())
    model = open_model(path)
    assert (model.name, model.input_name, model.output_name) == ("any.name", "input", "map")
    assert (model.size_multiple, model.min_size, model.sizing) == (1, 1, "")


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (64, 33)])
def test_a_model_that_takes_any_size_is_fed_the_frame_as_it_is(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "m.onnx").write_bytes(tiny_model())
    model = open_model(tmp_path / "m.onnx")
    assert model.fed_size(*size) == size
    assert model.run(frame(*size)).shape == (1, 1, *size)


def test_the_multiple_that_a_graph_needs_is_found_by_trying(unet: MapModel) -> None:
    assert unet.size_multiple == 4
    assert unet.sizing == "height and width edge-padded to multiples of 4, the map cropped back"


@pytest.mark.parametrize("size", [(1, 1), (5, 7), (9, 12), (12, 9)])
def test_a_frame_of_another_size_is_continued_by_its_edges_and_the_map_cropped(
    unet: MapModel, size: tuple[int, int]
) -> None:
    given = frame(*size) - 5  # below 0, so that a border of zeros would win each maximum
    tall, wide = unet.fed_size(*size)
    assert tall % 4 == wide % 4 == 0
    rows, columns = np.minimum(np.arange(tall), size[0] - 1), np.minimum(np.arange(wide), size[1] - 1)
    by_hand = unet.run(given[:, :, rows][:, :, :, columns])
    assert np.array_equal(unet.run(given), by_hand[:, :, : size[0], : size[1]])


def test_a_sidecar_of_the_same_bytes_tells_the_sizes_and_another_one_does_not(tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    folders.publish()  # its record says multiples of 8, at least 16
    model = open_model(folders.models / "tiny_v1.onnx")
    assert (model.size_multiple, model.min_size, model.fed_size(9, 17)) == (8, 16, (16, 24))
    assert "multiples of 8 of at least 16" in model.sizing
    (folders.models / "tiny_v1.onnx").write_bytes(tiny_model(seed=1))
    assert open_model(folders.models / "tiny_v1.onnx").size_multiple == 1


REFUSED: dict[str, tuple[bytes | str, str]] = {
    "no_model": (b"not a model", "a model that ONNX Runtime loads"),
    "empty": (b"", "found an empty file"),
    "two_channels": (
        graph("y = ReduceMean <axes = [1]> (x)", "float[1,2,H,W] x"),
        r"the input of .*: expected one float32 \[1, 3, H, W\]",
    ),
    "fixed_size": (
        graph("z = Conv (x, mix) y = Sigmoid (z)", "float[1,3,32,32] x", "float[1,1,32,32] y"),
        r"found x tensor\(float\) \[1, 3, 32, 32\]",
    ),
    "double": (graph("y = ReduceMean <axes = [1]> (x)", "double[1,3,H,W] x", "double[1,1,H,W] y"), "double"),
    "two_inputs": (
        graph("s = Add (x, w) z = Conv (s, mix) y = Sigmoid (z)", "float[1,3,H,W] x, float[1,3,H,W] w"),
        "the input of .*found x .*; w ",
    ),
    "two_outputs": (
        graph("z = Conv (x, mix) y = Sigmoid (z)", result="float[1,1,H,W] y, float[1,1,H,W] z"),
        "the output of .*found y .*; z ",
    ),
    "three_maps": (graph("y = Sigmoid (x)", result="float[1,3,H,W] y"), "the output of"),
    "smaller_map": (
        graph("z = Conv (x, mix) s = Sigmoid (z) y = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (s)"),
        r"a float32 map of shape",
    ),
    "beyond_one": (
        graph("z = Conv (x, mix) e = Exp (z) y = Add (e, e)"),
        "expected finite values from 0 to 1",
    ),
    "no_number": (graph("z = Conv (x, mix) y = Log (z)"), "expected finite values from 0 to 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_of_another_form_is_refused_by_name(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    content, said = REFUSED[name]
    path = tmp_path / f"{name}.onnx"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        written(path, content)
    with pytest.raises(ContractError, match=said) as caught:
        open_model(path)
    assert str(path) in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.onnx", tmp_path):
        with pytest.raises(ContractError, match="expected a readable ONNX file"):
            open_model(path)


def test_weights_beside_the_file_are_never_read(tmp_path: Path) -> None:
    model = parser.parse_model(UNET)
    weights = model.graph.initializer[0]
    weights.ClearField("float_data")
    weights.data_location = 1
    for key, value in (("location", "w.data"), ("length", "12")):
        weights.external_data.add(key=key, value=value)
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    (tmp_path / "w.data").write_bytes(bytes(12))
    with pytest.raises(ContractError, match="with its weights inside"):
        open_model(tmp_path / "m.onnx")


def test_a_value_beyond_one_by_the_rounding_of_a_sigmoid_counts_as_one(tmp_path: Path) -> None:
    model = open_model(written(tmp_path / "m.onnx", graph("y = ReduceMax <axes = [1]> (x)")))
    pixels = np.full((1, 3, 2, 2), 0.25, dtype=np.float32)
    pixels[0, :, 0] = (np.float32(1) + np.finfo(np.float32).eps, -1e-7)
    assert model.run(pixels).ravel().tolist() == [1.0, 0.0, 0.25, 0.25]


def test_a_value_that_is_no_number_on_one_frame_only_is_refused_there(tmp_path: Path) -> None:
    model = open_model(written(tmp_path / "m.onnx", graph("z = Conv (x, mix) s = Sqrt (z) y = Sigmoid (s)")))
    fine = np.ones((1, 3, 2, 2), dtype=np.float32)
    model.run(fine)
    fine[0, :, 1, 1] = -1
    with pytest.raises(ContractError, match=r"m\.onnx at 2x2: expected finite values from 0 to 1, found nan"):
        model.run(fine)


@pytest.mark.parametrize(
    "batch", [np.zeros((3, 4, 4)), np.zeros((1, 3, 4, 4)), np.zeros((1, 3, 0, 4), dtype=np.float32)]
)
def test_what_is_no_frame_is_refused(unet: MapModel, batch: np.ndarray[tuple[int, ...], np.dtype]) -> None:
    with pytest.raises(ContractError, match="a frame: expected float32 of shape"):
        unet.run(batch)


def test_equal_frames_give_equal_maps_in_any_order_and_from_any_thread(unet: MapModel) -> None:
    frames = [frame(30 + seed, 41, seed) for seed in range(4)]
    alone = [unet.run(given) for given in frames]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(unet.run, [*frames, *reversed(frames)]))
    assert all(np.array_equal(a, b) for a, b in zip([*alone, *reversed(alone)], together, strict=True))


def test_memory_does_not_grow_once_the_sizes_repeat(unet: MapModel) -> None:
    sizes = [(120 + 24 * i, 400 - 12 * i) for i in range(20)]

    def once() -> int:
        for size in sizes:
            unet.run(frame(*size))
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    if not Path("/proc/self/statm").exists():
        print("skipped: no /proc to read the resident memory from")
        return
    once()
    once()
    settled = once()
    grown = max(once() for _ in range(4)) - settled
    assert grown < 4 << 20, f"{grown} bytes in {os.getpid()}, {threading.active_count()} threads"
