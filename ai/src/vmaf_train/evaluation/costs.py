"""What a frame costs: time over the pictures of a set, time and memory at a video's size."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from vmaf_train.errors import ContractError
from vmaf_train.evaluation.feed import Feed
from vmaf_train.frames import rgb_to_tensor
from vmaf_train.onnx_session import MapModel, open_model
from vmaf_train.pairs import Pair, decode_image
from vmaf_train.processor import processor_name
from vmaf_train.resident_memory import peak_bytes
from vmaf_train.run_record import FrameCost

__all__ = ["VIDEO_SIZES", "picture_cost", "video_cost"]

VIDEO_SIZES = ((1920, 1080), (3840, 2160))
"""Width and height of the frames of high-definition and ultra-high-definition video."""

_VIDEO_RUNS = 3
_FEW = 20


def picture_cost(
    model: MapModel,
    feed: Feed,
    pairs: Sequence[Pair],
    progress: Callable[[int, int], None] | None = None,
) -> FrameCost:
    """Time the model alone, one picture after the other; decoding and feeding are not in it.

    Raises:
        ContractError: the model fails.
        DataError: a picture can no longer be decoded.
    """
    seconds: list[float] = []
    sizes: list[tuple[int, ...]] = []
    for i, pair in enumerate(pairs):
        batch = rgb_to_tensor(feed.frame(decode_image(pair.image)))
        if not seconds:
            model.run(batch)
        start = time.perf_counter()
        model.run(batch)
        seconds.append(time.perf_counter() - start)
        sizes.append(batch.shape[2:])
        if progress is not None:
            progress(i + 1, len(pairs))
    height, width = (int(side) for side in np.median(sizes, axis=0))
    return _cost(width, height, seconds, model.threads)


def video_cost(model: MapModel, width: int, height: int) -> FrameCost:
    """Run the model on frames of one size in a process of its own; read its time and peak memory.

    Raises:
        ContractError: the model fails at that size, or the process was killed, as by a lack of
            memory.
    """
    arguments = [str(model.path), str(width), str(height), str(model.threads)]
    code = f"import {__name__}; {__name__}._child()"
    ran = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    answer = json.loads(ran.stdout) if ran.returncode == 0 else {}
    if answer.get("sha256") != model.sha256:
        said = [line for line in ran.stderr.splitlines() if line.strip()] or [f"exit code {ran.returncode}"]
        raise ContractError(
            f"{model.path} at {width}x{height}",
            expected="a map",
            found=said[-1] if ran.returncode else "another file than was opened",
            next_step="use smaller frames or a machine with more memory",
        )
    return _cost(width, height, answer["seconds"], model.threads, answer["peak_bytes"])


def _cost(
    width: int, height: int, seconds: Sequence[float], threads: int, peak_bytes: int | None = None
) -> FrameCost:
    median, p95 = np.percentile(seconds, (50, 95))
    return FrameCost(
        width=width,
        height=height,
        frames=len(seconds),
        processor=processor_name(),
        threads=threads,
        median_seconds=float(median),
        p95_seconds=float(p95) if len(seconds) >= _FEW else None,
        peak_bytes=peak_bytes,
    )


def _child() -> None:
    path, width, height, threads = sys.argv[1:]
    model = open_model(Path(path), threads=int(threads))
    batch = np.zeros((1, 3, int(height), int(width)), dtype=np.float32)
    model.run(batch)
    seconds = []
    for _ in range(_VIDEO_RUNS):
        start = time.perf_counter()
        model.run(batch)
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"sha256": model.sha256, "seconds": seconds, "peak_bytes": peak_bytes()}))
