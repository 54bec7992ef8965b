"""Time to judge a model: the C scanner, the Python one, and ``onnx.load``, which judges nothing.

Three models: one of the student's shape and size, 50 MiB of as many fields as may be read and then
packed integers that are checked one by one, and the slowest 50 MiB that the limits let through:
long integers among short ones, read again for each Loop. Each way is timed in a process of its own,
by its fastest batch, and the ways take turns, so the ratios hold on a busy machine too. How fast
``onnx.load`` is depends on whether the allocator hands out used pages: by default it does.

    python ai/benchmarks/bench_scan.py [--model FILE] [--rounds 5] [--at-least 50]

The library is compiled from core/src/dnn with ``cc -O3``. Exit code 1 if C, on the small model in
memory, is less than --at-least times faster than ``onnx.load`` of its file.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from vmaf_train.op_allowlist import check_graph, check_model, load_allowlist

SOURCES = Path(__file__).resolve().parents[2] / "core" / "src" / "dnn"
LIMIT = 50 * 1024 * 1024
METADATA = (1 << 20) - 4000
BASELINE = "onnx.load, file"
_ALIKE = (("C, bytes in memory", "onnx, bytes in memory"), ("C, file", BASELINE))
WAYS = (
    "C, bytes in memory",
    "C, file",
    "Python, bytes in memory",
    "Python, file",
    "onnx, bytes in memory",
    BASELINE,
)
LOOPS = """
#include <stdlib.h>
#include "file_bytes.h"
#include "onnx_scan.h"

int scan_bytes(const uint8_t *data, size_t size, int times);
int scan_file(const char *path, int times);

int scan_bytes(const uint8_t *data, size_t size, int times)
{
    VmafDnnScanReport report;
    int error = 0;
    for (int i = 0; i < times && !error; i++)
        error = vmaf_dnn_scan(data, size, NULL, &report);
    return error;
}

int scan_file(const char *path, int times)
{
    int error = 0;
    for (int i = 0; i < times && !error; i++) {
        uint8_t *data = NULL;
        size_t size = 0;
        error = vmaf_dnn_read_file(path, VMAF_DNN_MAX_MODEL_SIZE, &data, &size);
        if (!error)
            error = scan_bytes(data, size, 1);
        free(data);
    }
    return error;
}
"""


def student() -> bytes:
    """Return a model of the student's operators and number of weights, with random weights."""
    random = np.random.default_rng(1)
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def layer(op: str, x: str, shape: tuple[int, ...] | None = None, **attributes: Any) -> str:
        inputs = x.split()
        if shape is not None:
            weights.append(numpy_helper.from_array(random.random(shape, np.float32), f"w{len(nodes)}"))
            inputs.append(f"w{len(nodes)}")
        nodes.append(
            helper.make_node(op, inputs, [f"t{len(nodes)}"], name=f"node_{len(nodes)}", **attributes)
        )
        return str(nodes[-1].output[0])

    def block(x: str, before: int, after: int) -> str:
        size = {
            "kernel_shape": [3, 3],
            "pads": [1, 1, 1, 1],
            "strides": [1, 1],
            "dilations": [1, 1],
            "group": 1,
        }
        return layer("Relu", layer("Conv", x, (after, before, 3, 3), **size))

    x, skips = "input", []
    for before, after in ((3, 16), (16, 32), (32, 48)):
        x = block(block(x, before, after), after, after)
        skips.append((x, after))
        x = layer("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x, width = block(x, 48, 48), 48
    for after, (skip, channels) in zip((32, 16, 8), reversed(skips), strict=True):
        x = layer("ConvTranspose", x, (width, after, 2, 2), kernel_shape=[2, 2], strides=[2, 2])
        x, width = block(layer("Concat", f"{x} {skip}", axis=1), after + channels, after), after
    layer("Sigmoid", layer("Conv", x, (1, 8, 1, 1), kernel_shape=[1, 1]))
    graph = helper.make_graph(
        nodes,
        "student",
        [helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, [1, 3, "H", "W"])],
        [helper.make_tensor_value_info(nodes[-1].output[0], onnx.TensorProto.FLOAT, [1, 1, "H", "W"])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def large(loops: int, numbers: bytes) -> bytes:
    """Return 50 MiB that must be walked to the end, and are accepted; ``numbers`` are whole varints."""
    node = _chunk(1, _chunk(1, b"trips") + _chunk(4, b"Loop"))
    trips = _chunk(5, b"\x10\x07" + _chunk(7, b"\x01") + _chunk(8, b"trips"))
    head = b"\x42\x02\x10\x11" + b"\x72\x00" * METADATA
    count = (LIMIT - len(head) - len(node) * loops - len(trips) - 15) // len(numbers)
    graph = node * loops + _chunk(5, _chunk(7, numbers * count)) + trips
    # The graph stands last, so that all of it is walked after the metadata.
    data = head + _chunk(7, graph)
    assert LIMIT - 32 < len(data) <= LIMIT
    return data


def _chunk(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def library(folder: Path) -> Path:
    """Compile the scanner, with two loops around it so that no call from Python is timed."""
    source, target = folder / "loops.c", folder / "libscan.so"
    source.write_text(LOOPS)
    sources = [str(path) for path in sorted(SOURCES.glob("*.c"))]
    command = ["cc", "-std=c11", "-O3", "-shared", "-fPIC", f"-I{SOURCES}", str(source), *sources]
    subprocess.run([*command, "-o", str(target)], check=True)
    return target


def ways(target: Path, path: Path) -> dict[str, Callable[[int], object]]:
    """Return what is timed, by name: a call is given how often to do it."""
    lib = ctypes.CDLL(str(target))
    data, allowlist = path.read_bytes(), load_allowlist()

    def accepted(error: int) -> None:
        if error:
            raise SystemExit(f"{path.name} is refused, so it is not walked to its end")

    def times(call: Callable[[], object]) -> Callable[[int], object]:
        def repeat(count: int) -> None:
            for _ in range(count):
                call()

        return repeat

    size = ctypes.c_size_t(len(data))
    return {
        "C, bytes in memory": lambda count: accepted(lib.scan_bytes(data, size, count)),
        "C, file": lambda count: accepted(lib.scan_file(str(path).encode(), count)),
        "Python, bytes in memory": times(lambda: check_graph(data, allowlist)),
        "Python, file": times(lambda: check_model(path, allowlist)),
        "onnx, bytes in memory": times(lambda: onnx.load_model_from_string(data)),
        BASELINE: times(lambda: onnx.load(path)),
    }


def seconds(call: Callable[[int], object], batches: int = 15, least: float = 0.01) -> float:
    """Return the time of one call in the fastest batch; a batch takes ``least`` seconds or one call.

    What a busy machine does in between makes a batch slower, never faster.
    """
    call(1)
    count, best = 1, math.inf
    while True:
        start = time.perf_counter()
        call(count)
        spent = time.perf_counter() - start
        if spent >= least:
            break
        count *= 2
    for _ in range(batches if spent < 0.1 else 3):
        start = time.perf_counter()
        call(count)
        best = min(best, (time.perf_counter() - start) / count)
    return best


def measure(title: str, target: Path, path: Path, rounds: int) -> dict[str, float]:
    """Print a table and return the median time of each way."""
    samples: dict[str, list[float]] = {name: [] for name in WAYS}
    for _ in range(rounds):
        for name, values in samples.items():
            child = [sys.executable, __file__, "--child", name, str(target), str(path)]
            done = subprocess.run(child, check=True, capture_output=True, text=True)
            values.append(float(done.stdout))
    medians = {name: statistics.median(values) for name, values in samples.items()}
    print(title)
    for name, value in medians.items():
        ratio = medians[BASELINE] / value
        print(f"  {name:<24} {value * 1e6:12.1f} us   onnx.load takes {ratio:8.2f} times as long")
    return medians


def main() -> int:
    """Run the benchmark; see the module's text."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--model", type=Path, help="a small model in place of the made one")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--at-least", type=float, default=50.0)
    arguments.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.child:
        name, target, path = given.child
        print(seconds(ways(Path(target), Path(path))[name]))
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        target = library(folder)
        small, plain, worst = (folder / f"{name}.onnx" for name in ("student", "plain", "worst"))
        small.write_bytes(given.model.read_bytes() if given.model else student())
        plain.write_bytes(large(0, b"\x01"))
        worst.write_bytes(large(16, b"\x01" + b"\xff" * 9 + b"\x01"))
        tiny = measure(f"small model, {small.stat().st_size} bytes", target, small, given.rounds)
        measure(f"many fields, {plain.stat().st_size} bytes", target, plain, 1)
        measure(f"worst case, {worst.stat().st_size} bytes", target, worst, 1)
    ratio = tiny[BASELINE] / tiny[WAYS[0]]
    memory, file = (tiny[theirs] / tiny[ours] for ours, theirs in _ALIKE)
    print(f"C in memory is {ratio:.0f} times as fast as onnx.load of the file on the small model")
    print(f"like for like: {memory:.1f} times in memory, {file:.1f} times from the file")
    return 0 if ratio >= given.at_least else 1


if __name__ == "__main__":
    sys.exit(main())
