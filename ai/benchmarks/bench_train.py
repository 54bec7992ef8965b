"""Images per second of our loop against a plain one: same network, batch and crop, in one run.

The plain loop is what a first script does: Pillow decodes, resizes and crops each item, and the
network trains in contiguous float32. Ours reads the decoded cache and trains as ``auto`` says.
Both are timed over whole steps, input included, after a warm-up step. Prints the ratio; asserts
nothing.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vmaf_train.config import find_config_file, load_config
from vmaf_train.hardware import choose_hardware
from vmaf_train.loader import BatchLoader
from vmaf_train.pairs import find_pairs
from vmaf_train.tasks.saliency_student.config import SaliencyConfig
from vmaf_train.tasks.saliency_student.corpus import EmbeddedPairs
from vmaf_train.tasks.saliency_student.data import IMAGENET_MEAN, IMAGENET_STD, load_splits
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
        if step == 1:
            began = time.perf_counter()
        optimiser.zero_grad()
        task.loss(network(batch), target).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step == steps:
            break
    return steps * config.fit.batch_size / (time.perf_counter() - began)


def our_rate(config: SaliencyConfig, steps: int) -> float:
    """Images per second of the framework's step on the decoded cache."""
    from vmaf_train.fit import _optimiser, _step

    task = SaliencyTask(config)
    hardware = choose_hardware(config.fit)
    splits = load_splits(config, lambda *_: None)
    network = task.build_model().to(memory_format=hardware.memory_format)  # type: ignore[call-overload]
    step_function = torch.compile(network) if config.fit.compile else network
    optimiser = _optimiser(config.optimiser, network)
    loader = BatchLoader(splits.train, config.fit.batch_size, 0, train=True)
    began, done, epoch = 0.0, 0, 0
    while True:
        epoch += 1
        for batch, target in loader.epoch(epoch):
            if done == 1:
                began = time.perf_counter()
            _step(task, step_function, network, optimiser, batch, target, config, hardware, "bench")
            done += 1
            if done == steps + 1:
                return steps * config.fit.batch_size / (time.perf_counter() - began)


def main() -> None:
    """Measure each loop in turns and print rates and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, help="a folder of pairs; default made-up scenes as files")
    parser.add_argument("--steps", type=int, default=6, help="timed steps of the plain loop per round")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="measure torch.compile too")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        root = flags.data or made_corpus(Path(scratch) / "DUTS-TR", 200)
        changes = {"data.root": root, "data.cache_dir": Path(scratch) / "cache"}
        recipe = find_config_file("saliency_student_v1")
        config = load_config(SaliencyConfig, recipe, (), changes)
        variants = {"ours": config}
        if flags.compile:
            variants["ours, compiled"] = load_config(SaliencyConfig, recipe, ("fit.compile=true",), changes)
        plain = 0.0
        best = dict.fromkeys(variants, 0.0)
        for _ in range(flags.rounds):  # in turns, so that a busy moment does not hit one alone
            plain = max(plain, plain_rate(root, config, flags.steps))
            for name, variant in variants.items():
                best[name] = max(best[name], our_rate(variant, 3 * flags.steps))
    hardware = choose_hardware(config.fit)
    print(f"{hardware.device}, {hardware.threads} threads, batch {config.fit.batch_size}, crop 256")
    print(f"{'plain float32, decoding each item':36} {plain:8.1f} images/s")
    for name, rate in best.items():
        label = f"{name} ({hardware.precision}, channels_last, cached)"
        print(f"{label:36} {rate:8.1f} images/s   {rate / plain:.1f}x")


if __name__ == "__main__":
    main()
