"""Encode a clip with and without each region file, and measure where the bits went.

``python ai/benchmarks/roi_shift.py MODEL CLIP``: per installed encoder the size, and the luma PSNR of
the blocks above and below the average of the model's map, at one constant quality.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from vmaf_train.map_figures import block_means
from vmaf_train.onnx_session import open_model
from vmaf_train.prediction.blocks import parse_offset_range
from vmaf_train.prediction.inputs import FrameForm, open_clip
from vmaf_train.prediction.passes import RoiWish, predict_inputs
from vmaf_train.prediction.roi_files import RoiForm, RoiTarget
from vmaf_train.prediction.signal import see

BLOCK = 64
FORM = FrameForm()
# name, form of its region file, suffix of its stream, command; {} are source, stream and region.
ENCODERS = {
    "SVT-AV1": (
        RoiForm.SVT_AV1,
        "ivf",
        "SvtAv1EncApp -i {source} -b {stream} --preset 6 --rc 0 --aq-mode 0 --qp 40",
        "--roi-map-file {region}",
    ),
    "Kvazaar": (RoiForm.KVAZAAR, "hevc", "kvazaar -i {source} -o {stream} --qp 32", "--roi {region}"),
    "libx264": (
        RoiForm.ADDROI,
        "mkv",
        "ffmpeg -y -v error -i {source} -c:v libx264 -crf 28 -vf {chain} {stream}",
        "",
    ),
    "libx265": (
        RoiForm.ADDROI,
        "mkv",
        "ffmpeg -y -v error -i {source} -c:v libx265 -crf 30 -vf {chain} {stream}",
        "",
    ),
}


def luma(path: Path) -> list[NDArray[np.uint8]]:
    """The luma planes of a short clip."""
    with open_clip(str(path), FORM) as clip:
        return [frame.planes.y for frame in clip.frames]


def psnr(one: list[NDArray[np.uint8]], two: list[NDArray[np.uint8]], where: NDArray[np.bool_]) -> float:
    """PSNR over the pixels that are ``where``."""
    errors = [np.square(a.astype(np.float64) - b)[where].mean() for a, b in zip(one, two, strict=True)]
    return float(10 * np.log10(255**2 / np.mean(errors)))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model", type=Path)
    parser.add_argument("clip")
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--range", default="-6:6")
    wish = parser.parse_args()
    model = open_model(wish.model, threads=0)
    table = Table("encoder", "bytes", "with regions", "ratio", "PSNR above", "PSNR below", box=None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "in.y4m"
        cut = ["ffmpeg", "-v", "error", "-i", wish.clip, "-frames:v", str(wish.frames), str(source)]
        subprocess.run(cut, check=True)
        targets = tuple(RoiTarget(form, folder / f"{form}.txt") for form in RoiForm)
        roi = RoiWish(targets, BLOCK, parse_offset_range(wish.range))
        predict_inputs(model, [str(source)], FORM, roi=roi, console=Console(stderr=True))
        with open_clip(str(source), FORM) as clip:
            means = np.mean([block_means(seen.maps[0], BLOCK) for seen in see([model], clip)], axis=0)
        frames = luma(source)
        tall, wide = frames[0].shape
        above = np.kron(means > means.mean(), np.ones((BLOCK, BLOCK), bool))[:tall, :wide]
        for title, (form, suffix, command, option) in ENCODERS.items():
            if shutil.which(command.split()[0]) is None:
                table.add_row(title, "not installed")
                continue
            sizes: list[int] = []
            quality: list[list[float]] = []
            for shaped in (False, True):
                stream = folder / f"out.{suffix}"
                region = folder / f"{form}.txt"
                chain = region.read_text().strip() if shaped else "null"
                names = {"source": source, "stream": stream, "region": region.name, "chain": chain}
                words = (command + (" " + option if shaped else "")).split()
                line = [word.format(**names) for word in words]
                done = subprocess.run(line, check=False, capture_output=True, cwd=folder)
                if done.returncode:
                    # An encoder may be older than its region file; the others are still measured.
                    reason = " ".join((done.stderr or done.stdout).decode(errors="replace").split())
                    way = "with" if shaped else "without"
                    table.add_row(title, *map(str, sizes), f"none {way} regions", reason[-80:])
                    break
                coded = luma(stream)
                sizes.append(stream.stat().st_size)
                quality.append([psnr(frames, coded, side) for side in (above, ~above)])
            if len(sizes) < 2:
                continue
            cells = [f"{quality[0][i]:.2f} -> {quality[1][i]:.2f} dB" for i in (0, 1)]
            table.add_row(title, str(sizes[0]), str(sizes[1]), f"{sizes[1] / sizes[0]:.3f}", *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
