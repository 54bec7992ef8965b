"""Several processes train as one does, and end as one does."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from rank_child import NoDropout, fit_ranked
from vmaf_train.fit import FitResult
from vmaf_train.ranks import ALONE, Ranks, joined
from vmaf_train.synced_norm import plain_norms, synced_norms

CHILD = Path(__file__).with_name("rank_child.py")


def free_port() -> int:
    """A port that stays free until the first process listens there.

    It is below the range from which a system takes ports for outgoing connections: one of those
    could be given away meanwhile, even to a process that tries to reach the port itself.
    """
    for port in random.sample(range(10_000, 30_000), 100):
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no free port in a hundred tries")


def in_processes(case: str, folder: Path, size: int = 2) -> list[tuple[int, str]]:
    """Run a case as torchrun would start it; return exit code and standard error by rank."""
    folder.mkdir(parents=True, exist_ok=True)
    shared = {"WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    path = os.pathsep.join([str(CHILD.parent), os.environ.get("PYTHONPATH", "")])
    running = [
        subprocess.Popen(
            [sys.executable, str(CHILD), case, str(folder)],
            env={**os.environ, **shared, "RANK": str(rank), "PYTHONPATH": path},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    said = [process.communicate(timeout=300)[1] for process in running]
    return [(process.returncode, text) for process, text in zip(running, said, strict=True)]


def lines(ended: list[tuple[int, str]]) -> list[str]:
    return [line for _, text in ended for line in text.splitlines() if line.startswith("error: ")]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> FitResult:
    return fit_ranked(tmp_path_factory.mktemp("alone"), ALONE)


def require_same(alone: FitResult, folder: Path) -> None:
    """The weights within float tolerance, the history too, and the metrics of the same images."""
    weights = torch.load(folder / "weights.pt", weights_only=True)
    expected = alone.network.state_dict()
    assert weights.keys() == expected.keys()
    worst = max(float((weights[name].double() - expected[name].double()).abs().max()) for name in expected)
    assert worst < 1e-5
    result = json.loads((folder / "result.json").read_text())
    assert result["norm"] == "BatchNorm2d"
    apart = max(
        abs(metrics[name] - value)
        for (_, metrics), epoch in zip(result["history"], alone.record.history, strict=True)
        for name, value in epoch.metrics.items()
        if value is not None
    )
    print(f"\nseveral processes against one: weights differ by at most {worst:.2g}, metrics by {apart:.2g}")
    for (loss, metrics), epoch in zip(result["history"], alone.record.history, strict=True):
        assert loss == pytest.approx(epoch.loss, abs=1e-5)
        assert metrics == pytest.approx(epoch.metrics, abs=2e-3)


def test_two_processes_train_as_one_with_batches_and_shards_of_uneven_size(
    tmp_path: Path, alone: FitResult
) -> None:
    ended = in_processes("train", tmp_path)
    assert [code for code, _ in ended] == [0, 0], ended
    require_same(alone, tmp_path)


@pytest.mark.parametrize(
    ("case", "codes", "line"),
    [
        ("vanish", [1, 1], "error: rank 1 of 2: 0007.jpg: expected a picture, found nothing; put it back"),
        ("kill", [1, -9], "error: rank 0 of 2: the run: expected every process of it until the end"),
        ("silent", [1, 1], "error: rank 0 of 2: the run: expected every process of it until the end"),
        ("idle", [2, 2], "of 2: epoch 1 step 1: expected a gradient for every trainable weight, as "),
    ],
)
def test_a_process_that_fails_ends_all_with_one_line(
    tmp_path: Path, case: str, codes: list[int], line: str
) -> None:
    ended = in_processes(case, tmp_path)
    assert [code for code, _ in ended] == codes, ended
    assert len(lines(ended)) == 1, ended
    assert line in lines(ended)[0]
    assert "Traceback" not in "".join(text for _, text in ended)
    assert not (tmp_path / "weights.pt").exists()


def test_a_stop_of_one_stops_all_after_the_same_step_and_one_process_can_go_on(
    tmp_path: Path, alone: FitResult
) -> None:
    ended = in_processes("stop", tmp_path)
    assert all("Stopped: SIGTERM" in text for _, text in ended), ended
    resumed = fit_ranked(tmp_path, ALONE, resume=True)
    assert resumed.record.resumed_at == (1,)
    torch.save(resumed.network.state_dict(), tmp_path / "weights.pt")
    history = [[epoch.loss, epoch.metrics] for epoch in resumed.record.history]
    (tmp_path / "result.json").write_text(json.dumps({"history": history, "norm": "BatchNorm2d"}))
    require_same(alone, tmp_path)


def test_a_stop_of_one_in_validation_stops_all_after_it_and_the_epoch_is_kept(tmp_path: Path) -> None:
    ended = in_processes("stop in validation", tmp_path)
    assert all("Stopped: SIGTERM" in text for _, text in ended), ended
    assert "gloo" not in "".join(text for _, text in ended)
    kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert kept == ["epoch_000001.pt", "epoch_000002.pt"]


@pytest.mark.parametrize("count", [0, 1, 5, 7, 16])
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_the_shares_are_all_items_once_and_in_order(count: int, size: int) -> None:
    shares = [Ranks(rank, size).share(count) for rank in range(size)]
    assert [item for share in shares for item in share] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_without_torchrun_a_run_is_alone() -> None:
    with joined("cpu") as ranks:
        assert ranks == ALONE
        value = torch.ones(2)
        assert ranks.sum(value) is value
        network = nn.Linear(1, 1)
        assert ranks.parallel(network) is network


def test_a_norm_is_itself_again_after_it_was_synced() -> None:
    network = NoDropout()
    names = list(network.state_dict())
    synced_norms(network)
    assert type(network.norm) is not nn.BatchNorm2d
    assert list(network.state_dict()) == names
    image = torch.rand(2, 3, 4, 4)
    network.eval()
    before: Tensor = network(image)
    plain_norms(network)
    assert type(network.norm) is nn.BatchNorm2d
    assert torch.equal(network(image), before)
