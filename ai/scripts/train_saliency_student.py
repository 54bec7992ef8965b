"""The published reproducer: its flags, and one call of the pipeline.

    python ai/scripts/train_saliency_student.py --duts-root /path/to/DUTS-TR \\
        --output model/tiny/saliency_student_v1.onnx --epochs 50 --batch-size 32 --lr 1e-3 \\
        --seed 42 --metrics-out build_artifacts/saliency_student_v1_train.json

The name of ``--output`` is the model's id; where a model of that id stands, ``--replace`` is needed.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

from rich.console import Console

from vmaf_train.config_files import find_config_file, load_config
from vmaf_train.discovery import load_task
from vmaf_train.errors import ConfigError, GateError, VmafTrainError
from vmaf_train.files import require_writable, write_atomic
from vmaf_train.interruption import Stopped
from vmaf_train.pipeline import RunPaths, follow, run
from vmaf_train.report import ConsoleReporter
from vmaf_train.run_paths import (
    choose_run_dir,
    default_output_dirs,
    follows,
    require_data_folders,
    stopped_line,
)
from vmaf_train.summary import summary_table


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--duts-root", type=Path, required=True, help="folder of DUTS-TR")
    parser.add_argument(
        "--output", type=Path, default=Path("model/tiny/saliency_student_v1.onnx"), help="the model file"
    )
    parser.add_argument("--epochs", type=int, default=50, help="passes over the pairs")
    parser.add_argument("--batch-size", type=int, default=32, help="pairs in a step")
    parser.add_argument("--lr", type=float, default=1e-3, help="learning rate at its highest")
    parser.add_argument(
        "--seed",
        type=int,
        default=42,
        help="of weights, order and crops; the pairs held out stay those of 42",
    )
    parser.add_argument("--metrics-out", type=Path, help="the run record as JSON")
    parser.add_argument(
        "--docs-dir", type=Path, help="folder of the docs page; default as for vmaf-train run"
    )
    parser.add_argument("--replace", action="store_true", help="replace a model of the same name")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    return parser.parse_args(words)


def _copy_record(run_dir: Path, target: Path | None) -> None:
    """Put the record of the run, whether its gate was met or not, where ``--metrics-out`` wants it."""
    if target is not None:
        write_atomic(target, (run_dir / "run_record.json").read_bytes())


def main(words: list[str] | None = None) -> int:
    """Run the pipeline as the flags say; return the exit code."""
    flags = _arguments(words)
    try:
        if flags.output.suffix != ".onnx":
            raise ConfigError(
                f"--output {flags.output}",
                expected="a file name that ends in .onnx",
                found=flags.output.suffix or "no suffix",
                next_step="write for instance model/tiny/saliency_student_v1.onnx",
            )
        if flags.metrics_out is not None:
            require_writable("--metrics-out", flags.metrics_out)
        plugin = load_task("saliency_student")
        changes = {
            "id": flags.output.stem,
            "data.root": flags.duts_root,
            "fit.epochs": flags.epochs,
            "fit.batch_size": flags.batch_size,
            "fit.seed": flags.seed,
            "optimiser.lr": flags.lr,
        }
        config = load_config(plugin.config_type, find_config_file("saliency_student_v1"), (), changes)
        if follows():
            with contextlib.suppress(Stopped):  # said by the process that leads
                follow(plugin, config, resume=flags.resume)
            return 0
        require_data_folders(config)
        folder = choose_run_dir(config, None, resume=flags.resume)
        console = Console()
        try:
            record = run(
                plugin,
                config,
                RunPaths(folder, *default_output_dirs(config, flags.output.parent, flags.docs_dir)),
                replace=flags.replace,
                resume=flags.resume,
                reporter=ConsoleReporter(console),
            )
        except GateError:
            _copy_record(folder, flags.metrics_out)
            raise
        _copy_record(folder, flags.metrics_out)
    except Stopped as stop:
        print(stopped_line(stop, [sys.argv[0], *(words or sys.argv[1:])], None), file=sys.stderr)
        return stop.exit_code
    except VmafTrainError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    console.print(summary_table(record))
    return 0


if __name__ == "__main__":
    sys.exit(main())
