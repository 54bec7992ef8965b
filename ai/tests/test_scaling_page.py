"""The figures on docs/ai/scaling.md are those of the benchmark's file."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_shows_what_the_benchmark_wrote() -> None:
    spec = importlib.util.spec_from_file_location("bench", ROOT / "ai" / "benchmarks" / "bench_scaling.py")
    assert spec is not None
    assert spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    figures = json.loads((ROOT / "docs" / "ai" / "scaling.json").read_text())
    page = (ROOT / "docs" / "ai" / "scaling.md").read_text()
    shown = page.partition(bench.BEGIN)[2].partition(bench.END)[0]
    assert shown == bench.tables(figures)
    assert {row["pairs"] for row in figures["pairs"]} >= {10_000, 200_000}
