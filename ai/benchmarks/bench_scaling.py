"""Peak memory and time of a run as functions of pairs, crop and batch; each point in its own process.

    python ai/benchmarks/bench_scaling.py [--pairs 2000 20000] [--write docs/ai/scaling.json]
    python ai/benchmarks/bench_scaling.py --page docs/ai/scaling.json docs/ai/scaling.md

Pairs: a corpus of tiny made pictures is found, inspected, decoded and read once over, batch by
batch, as an epoch does. The pictures are tiny so that what grows is what the framework holds per
pair, not pixels. Crop and batch: training steps of the recipe's network on made pictures.
Memory is the peak resident set that Linux reports; time is CPU time on one thread, which a busy
machine changes little.
"""

from __future__ import annotations

import argparse
import gc
import io
import itertools
import json
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from vmaf_train.config import FitConfig, OptimiserConfig
from vmaf_train.config_files import find_config_file, load_config
from vmaf_train.files import dump_json
from vmaf_train.hardware import choose_hardware, environment_record
from vmaf_train.loader import BatchLoader
from vmaf_train.resident_memory import peak_bytes, resident_bytes, restart_peak
from vmaf_train.tasks.saliency_student.config import SaliencyConfig
from vmaf_train.tasks.saliency_student.data import load_splits
from vmaf_train.tasks.saliency_student.task import SaliencyTask

SIDE = 8
CROPS = (128, 256)
BATCHES = (8, 16, 32)
BEGIN = "<!-- figures: made by bench_scaling.py -->\n"
END = "<!-- end of figures -->\n"


def encoded(mode: str, seed: int) -> bytes:
    """Return a PNG of SIDE x SIDE pixels."""
    pixels = np.random.default_rng(seed).integers(0, 2, (SIDE, SIDE, 3), np.uint8) * 255
    stream = io.BytesIO()
    Image.fromarray(pixels if mode == "RGB" else pixels[..., 0]).save(stream, "PNG")
    return stream.getvalue()


def made_corpus(root: Path, count: int) -> None:
    """Write ``count`` pairs that differ in their bytes, not in their pixels."""
    for name, data in (("MADE-Image", encoded("RGB", 1)), ("MADE-Mask", encoded("L", 2))):
        (root / name).mkdir(parents=True)
        for i in range(count):
            # A reader stops at the end of the PNG; the number behind it makes the digest its own.
            (root / name / f"{i:08}.png").write_bytes(data + i.to_bytes(4))


def forget_peak() -> None:
    """Start the peak anew from what is resident now."""
    gc.collect()
    restart_peak()


def over_pairs(root: Path, cache: Path, count: int) -> dict[str, float]:
    """Load ``count`` pairs and read them all as one epoch; return bytes and CPU seconds."""
    changes = {
        "id": "made",
        "data.root": root,
        "data.cache_dir": cache,
        "augmentation.short_side": SIDE,
        "augmentation.crop": SIDE,
        "validation.size": SIDE,
        "fit.threads": 1,
    }
    config = load_config(SaliencyConfig, None, (), changes)
    base = resident_bytes()
    forget_peak()
    began = time.process_time()
    splits = load_splits(config, lambda *_: None)
    loaded, seconds = peak_bytes(), time.process_time() - began
    forget_peak()
    held = resident_bytes()
    loader = BatchLoader(splits.train, 256, 0, train=True)
    for _ in loader.epoch(1):
        pass
    return {
        "pairs": count,
        "base_bytes": base,
        "load_peak_bytes": loaded,
        "held_bytes": held,
        "epoch_peak_bytes": peak_bytes(),
        "load_cpu_seconds": seconds,
    }


def over_steps(crop: int, batch: int) -> dict[str, float]:
    """Train a few steps; return the peak in bytes and the CPU seconds of a step."""
    torch.set_num_threads(1)
    changes = {"fit.batch_size": batch, "fit.device": "cpu", "fit.precision": "float32"}
    config = load_config(SaliencyConfig, find_config_file("smoke"), (), changes)
    task, hardware = SaliencyTask(config), choose_hardware(config.fit)
    network = task.build_model().to(memory_format=hardware.memory_format)  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(network.parameters(), lr=OptimiserConfig().lr)
    images = hardware.place(torch.rand(batch, 3, crop, crop))
    target = (torch.rand(batch, 1, crop, crop) > 0.5).float()
    base = resident_bytes()
    times = []
    for _ in range(3):
        began = time.process_time()
        optimiser.zero_grad()
        task.loss(network(images), target).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        times.append(time.process_time() - began)
    return {
        "crop": crop,
        "batch": batch,
        "base_bytes": base,
        "peak_bytes": peak_bytes(),
        "step_cpu_seconds": min(times),
    }


def fitted(xs: list[float], ys: list[float]) -> tuple[float, float]:
    """Return intercept and slope of the line through the points, by least squares."""
    slope, intercept = np.polyfit(xs, ys, 1)
    return float(intercept), float(slope)


def tables(figures: dict[str, Any]) -> str:
    """Return the figures as the Markdown that docs/ai/scaling.md holds between its two markers."""
    environment, pairs, steps = figures["environment"], figures["pairs"], figures["steps"]
    first, last = pairs[0], pairs[-1]
    more = last["pairs"] - first["pairs"]

    def grown(key: str) -> float:
        return float((last[key] - last["base_bytes"] - first[key] + first["base_bytes"]) / more)

    slower = (last["load_cpu_seconds"] - first["load_cpu_seconds"]) / more
    area = [row["batch"] * row["crop"] ** 2 for row in steps]
    base, slope = fitted(area, [row["peak_bytes"] for row in steps])
    _, pace = fitted(area, [row["step_cpu_seconds"] for row in steps])
    lines = [
        f"Measured by `ai/benchmarks/bench_scaling.py` on {environment['processor']}, one thread, "
        f"torch {environment['torch']}.",
        "",
        "| pairs | process before | peak while loading | peak over an epoch of reading | CPU time to load |",
        "|---:|---:|---:|---:|---:|",
        *(
            f"| {row['pairs']:,} | {row['base_bytes'] / 1e6:.0f} MB | {row['load_peak_bytes'] / 1e6:.0f} MB "
            f"| {row['epoch_peak_bytes'] / 1e6:.0f} MB | {row['load_cpu_seconds']:.0f} s |"
            for row in pairs
        ),
        "",
        f"From the first row to the last a further pair costs {grown('load_peak_bytes'):,.0f} bytes while "
        f"it is loaded and {grown('epoch_peak_bytes'):,.0f} bytes at the peak of training, and "
        f"{slower * 1e3:.1f} ms to load for the first time.",
        "",
        "| crop | batch | peak | CPU time of a step |",
        "|---:|---:|---:|---:|",
        *(
            f"| {row['crop']} | {row['batch']} | {row['peak_bytes'] / 1e6:,.0f} MB "
            f"| {row['step_cpu_seconds']:.2f} s |"
            for row in steps
        ),
        "",
        f"A line through these: {base / 1e6:.0f} MB and {slope:.0f} bytes for each pixel of batch x crop x "
        f"crop, and {pace * 1e9:.0f} ns of CPU time for each such pixel and step.",
    ]
    return "\n".join(lines) + "\n"


def write_page(figures: Path, page: Path) -> None:
    """Put the tables of ``figures`` between the markers of ``page``."""
    head, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, tail = rest.partition(END)
    text = tables(json.loads(figures.read_text(encoding="utf-8")))
    page.write_text(f"{head}{BEGIN}{text}{END}{tail}", encoding="utf-8")


def in_own_process(work: Any, *arguments: Any) -> Any:
    """Return ``work(*arguments)`` from a fresh process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(work, *arguments).result()


def main() -> None:
    """Measure every point, print it, and write all if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="*", default=[2_000, 20_000])
    parser.add_argument("--scratch", type=Path, help="where the made pictures go for a while")
    parser.add_argument("--write", type=Path, help="a JSON file for the figures")
    parser.add_argument(
        "--page", type=Path, nargs=2, help="measure nothing; put a JSON file's figures on a page"
    )
    options = parser.parse_args()
    if options.page is not None:
        write_page(*options.page)
        return
    pairs, steps = [], []
    for count in options.pairs:
        with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
            root = Path(scratch)
            made_corpus(root / "MADE", count)
            pairs.append(in_own_process(over_pairs, root / "MADE", root / "cache", count))
        print(json.dumps(pairs[-1]), flush=True)
    for crop, batch in itertools.product(CROPS, BATCHES):
        steps.append(in_own_process(over_steps, crop, batch))
        print(json.dumps(steps[-1]), flush=True)
    if options.write is not None:
        environment = environment_record(choose_hardware(FitConfig())).model_dump(mode="json")
        named = {key: environment[key] for key in ("processor", "python", "torch", "vmaf_train")}
        options.write.write_text(dump_json({"environment": named, "pairs": pairs, "steps": steps}))


if __name__ == "__main__":
    main()
