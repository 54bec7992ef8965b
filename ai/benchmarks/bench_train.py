"""Images per second of our loop against a plain one: same network, batch and crop, in one run.

The plain loop is what a first script does: Pillow decodes, resizes and crops each item, and the
network trains in contiguous float32. Ours reads the decoded cache and trains as ``auto`` says.
Each loop runs in a process of its own, in turns, and is timed over whole steps, input included,
after warm-up steps. Prints the ratio; asserts nothing.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vmaf_train.config import FitConfig
from vmaf_train.config_files import find_config_file, load_config
from vmaf_train.frames import IMAGENET_MEAN, IMAGENET_STD
from vmaf_train.hardware import choose_hardware
from vmaf_train.loader import BatchLoader
from vmaf_train.pairs import find_pairs
from vmaf_train.ranks import ALONE
from vmaf_train.tasks.saliency_student.config import SaliencyConfig
from vmaf_train.tasks.saliency_student.corpus import EmbeddedPairs
from vmaf_train.tasks.saliency_student.data import load_splits
from vmaf_train.tasks.saliency_student.task import SaliencyTask


def made_corpus(folder: Path, count: int) -> Path:
    """Write scenes of the embedded corpus as a folder of JPEG and PNG, at the size of photographs."""
    scenes = EmbeddedPairs(count, 1, 300)
    for name in ("DUTS-TR-Image", "DUTS-TR-Mask"):
        (folder / name).mkdir(parents=True)
    for i, stem in enumerate(scenes.stems):
        Image.fromarray(scenes.image(i)).save(folder / "DUTS-TR-Image" / f"{stem}.jpg", quality=92)
        Image.fromarray(scenes.mask(i) * 255).save(folder / "DUTS-TR-Mask" / f"{stem}.png")
    return folder


def plain_batches(root: Path, config: SaliencyConfig) -> Iterator[tuple[Tensor, Tensor]]:
    """Decode, resize, crop and flip each item with Pillow, for ever."""
    pairs = find_pairs(root).pairs
    draw = random.Random(0)
    short, crop, batch = config.augmentation.short_side, config.augmentation.crop, config.fit.batch_size
    mean, std = np.array(IMAGENET_MEAN, np.float32), np.array(IMAGENET_STD, np.float32)
    while True:
        images, masks = [], []
        for pair in draw.choices(pairs, k=batch):
            image, mask = Image.open(pair.image).convert("RGB"), Image.open(pair.mask).convert("L")
            scale = short / min(image.size)
            size = (max(short, round(image.width * scale)), max(short, round(image.height * scale)))
            image = image.resize(size, Image.Resampling.BILINEAR)
            mask = mask.resize(size, Image.Resampling.NEAREST)
            left, top = draw.randint(0, size[0] - crop), draw.randint(0, size[1] - crop)
            box = (left, top, left + crop, top + crop)
            pixels = np.asarray(image.crop(box), np.float32) / 255.0
            truth = np.asarray(mask.crop(box)) > 127
            if draw.random() < 0.5:
                pixels, truth = pixels[:, ::-1], truth[:, ::-1]
            images.append(((pixels - mean) / std).transpose(2, 0, 1))
            masks.append(truth[None].astype(np.float32))
        yield torch.from_numpy(np.stack(images)), torch.from_numpy(np.stack(masks))


def plain_rate(root: Path, config: SaliencyConfig, steps: int) -> float:
    """Images per second of the plain loop."""
    task = SaliencyTask(config)
    network = task.build_model()
    optimiser = torch.optim.Adam(network.parameters(), lr=config.optimiser.lr)
    began = 0.0
    for step, (batch, target) in enumerate(plain_batches(root, config)):
        optimiser.zero_grad()
        task.loss(network(batch), target).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step == 0:  # before the next batch is made, as input counts
            began = time.perf_counter()
        if step == steps:
            break
    return steps * config.fit.batch_size / (time.perf_counter() - began)


def our_rate(config: SaliencyConfig, steps: int) -> float:
    """Images per second of the framework's step on the decoded cache."""
    from vmaf_train.learner import make_learner
    from vmaf_train.optimiser_step import optimiser_step

    task = SaliencyTask(config)
    hardware = choose_hardware(config.fit)
    splits = load_splits(config, lambda *_: None)
    learner = make_learner(task.build_model(), config, hardware, ALONE)
    step_function = torch.compile(learner.network) if config.fit.compile else learner.network
    loader = BatchLoader(splits.train, config.fit.batch_size, 0, train=True)
    began, done, epoch = 0.0, 0, 0
    while True:
        epoch += 1
        for batch, target in loader.epoch(epoch):
            optimiser_step(task, step_function, learner, batch, target, config, hardware, ALONE, "bench")
            done += 1
            if done == 2:
                began = time.perf_counter()
            if done == steps + 2:
                return steps * config.fit.batch_size / (time.perf_counter() - began)


def measure(name: str, root: Path, cache: Path, steps: int) -> float:
    """Images per second of the loop ``name``, measured in this process."""
    changes = {"data.root": root, "data.cache_dir": cache}
    overrides = ("fit.compile=true",) if name == "compiled" else ()
    config = load_config(SaliencyConfig, find_config_file("saliency_student_v1"), overrides, changes)
    return plain_rate(root, config, steps) if name == "plain" else our_rate(config, 4 * steps)


def main() -> None:
    """Measure each loop in turns and print rates and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, help="a folder of pairs; default made-up scenes as files")
    parser.add_argument("--steps", type=int, default=5, help="timed steps of the plain loop per round")
    parser.add_argument("--rounds", type=int, default=2)
    flags = parser.parse_args()
    labels = {
        "plain": "plain: float32, decoding each item",
        "ours": "ours: auto precision, cached",
        "compiled": "ours with fit.compile=true",
    }
    best = dict.fromkeys(labels, 0.0)
    with tempfile.TemporaryDirectory() as scratch:
        root = flags.data or made_corpus(Path(scratch) / "DUTS-TR", 200)
        cache = Path(scratch) / "cache"
        for _ in range(flags.rounds):  # in turns, so that a busy moment does not hit one alone
            for name in labels:
                with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                    rate = process.submit(measure, name, root, cache, flags.steps).result()
                best[name] = max(best[name], rate)
    hardware = choose_hardware(FitConfig())
    print(f"{hardware.device}, {hardware.threads} threads, auto is {hardware.precision}; batch 32, crop 256")
    for name, label in labels.items():
        print(f"{label:38} {best[name]:7.1f} images/s   {best[name] / best['plain']:.1f}x")


if __name__ == "__main__":
    main()
