"""A run killed at seeded points: what it leaves is whole, and the resumed run is the reference's."""

from __future__ import annotations

import json
from pathlib import Path

from records import python

SCRIPTS = Path(__file__).parents[1] / "scripts"

# The exporter's answer for the same weights is the same, so the children take it from the parent's
# memory, and nothing is drawn; all else in them is real. `kill_test.py` run by itself spares nothing.
CODE = """
import functools, json, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from kill_test import Subject, kill_test, outcome_table
from rich.console import Console
from toy import ToyConfig, toy_plugin
from vmaf_train import pipeline

real, known = pipeline.export_onnx, {}

def remembered(network, *rest):
    weights = b"".join(tensor.numpy().tobytes() for tensor in network.state_dict().values())
    if weights not in known:
        known[weights] = real(network, *rest)
    return known[weights]

pipeline.export_onnx = remembered
pipeline.curves = lambda *_, **__: b"<svg/>"
pipeline.contact_sheet = lambda *_: None
work, points = Path(sys.argv[1]), int(sys.argv[2])
subject = Subject(toy_plugin(), ToyConfig(id="killed_v1"), (toy_plugin(), ToyConfig(id="standing_v1")))
pipeline.run(subject.plugin, subject.config, pipeline.RunPaths(work / "r", work / "m", work / "d"))
outcomes = kill_test(subject, work, points, 1, lambda line: print(line, file=sys.stderr))
Console(stderr=True, width=110).print(outcome_table(outcomes))
print(json.dumps([(one.stage, one.killed, one.state, one.equal) for one in outcomes]))
"""
POINTS = 28


def test_a_run_killed_anywhere_leaves_the_old_state_or_the_new_and_ends_in_the_same_bytes(
    tmp_path: Path,
) -> None:
    ran = python(CODE, tmp_path, POINTS, paths=(SCRIPTS,))
    assert ran.returncode == 0, ran.stderr
    print(ran.stderr)
    outcomes = json.loads(ran.stdout)
    assert len(outcomes) == POINTS
    stages = {stage for stage, *_ in outcomes}
    assert {"training, a step", "checkpoint", "export and parity", "between model and registry"} < stages
    for stage, killed, state, equal in outcomes:
        assert killed or "clock" in stage
        assert state in {"old", "new"}, (stage, state)
        assert equal, stage
    # A publication counts as made from some moment on, before which nothing is there.
    assert {state for _, _, state, _ in outcomes} == {"old", "new"}
