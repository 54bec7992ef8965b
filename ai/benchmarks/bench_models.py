"""Time per frame and peak memory of map models side by side, by frame size, in one run.

Each model runs at each size in a process of its own, the models taking turns, so that a busy
moment does not hit one alone and memory is the model's own. A frame of a size that a graph does
not take is padded, and the padding counts. Prints the least of the rounds' medians and ratios to the
first model; asserts nothing.

Memory is read as Linux counts it.

    python ai/benchmarks/bench_models.py [MODEL.onnx ...] [--threads 2] [--rounds 3]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

SIZES = ((256, 256), (480, 854), (1080, 1920), (2160, 3840))
"""Height and width of the frames."""
SECONDS = 1.0
"""Least time spent on a measurement in one process."""
LEAST_RUNS = 3


def measure(path: Path, height: int, width: int, threads: int) -> tuple[float, float]:
    """Return the median milliseconds per frame and the mebibytes that running added to the process."""
    from vmaf_train.onnx_session import open_model
    from vmaf_train.resident_memory import peak_bytes, restart_peak

    model = open_model(path, threads=threads)
    frame = np.random.default_rng(0).normal(size=(1, 3, height, width)).astype(np.float32)
    before = restart_peak()
    model.run(frame)
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < LEAST_RUNS or time.perf_counter() - began < SECONDS:
        start = time.perf_counter()
        model.run(frame)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3, (peak_bytes() - before) / (1 << 20)


def main() -> None:
    """Measure and print one table for time and one for memory."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    shipped = sorted(Path("model/tiny").glob("*.onnx"))
    parser.add_argument(
        "models",
        nargs="*",
        type=Path,
        metavar="MODEL.onnx",
        default=shipped,
        help="default model/tiny",
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    flags = parser.parse_args()
    found: dict[tuple[Path, tuple[int, int]], list[tuple[float, float]]] = {}
    for _ in range(flags.rounds):
        for size in SIZES:
            for path in flags.models:
                with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                    figures = process.submit(measure, path, *size, flags.threads).result()
                found.setdefault((path, size), []).append(figures)
    times = {key: min(ms for ms, _ in figures) for key, figures in found.items()}
    memory = {key: max(held for _, held in figures) for key, figures in found.items()}
    console = Console(width=120)
    console.print(table(f"ms per frame, {flags.threads} threads", flags.models, times, "{:.2f}"))
    console.print(table("MiB that a run adds at its peak", flags.models, memory, "{:.0f}"))
    if flags.json is not None:
        rows = [
            {"model": path.name, "height": size[0], "width": size[1], "ms": times[path, size], "mib": held}
            for (path, size), held in memory.items()
        ]
        flags.json.write_text(json.dumps({"threads": flags.threads, "frames": rows}, indent=2) + "\n")


def table(
    title: str, models: list[Path], values: dict[tuple[Path, tuple[int, int]], float], form: str
) -> Table:
    """Return a table with a row per model: the value at each size, and its ratio to the first model's."""
    shown = Table(title=title, title_justify="left")
    shown.add_column("model")
    for height, width in SIZES:
        shown.add_column(f"{height}x{width}", justify="right")
    for path in models:
        cells = []
        for size in SIZES:
            value, base = values[path, size], values[models[0], size]
            ratio = f"  {value / base:.3f}x" if path != models[0] and base else ""
            cells.append(form.format(value) + ratio)
        shown.add_row(path.name, *cells)
    return shown


if __name__ == "__main__":
    main()
