"""What a model file on disk must be, told by the config that made it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vmaf_train.config import ExportConfig
from vmaf_train.files import sha256_file
from vmaf_train.quantise import config_of_record, with_added_ops
from vmaf_train.registry import record_beside
from vmaf_train.run_paths import resolve_config
from vmaf_train.task import ExportSpec, TaskPlugin

__all__ = ["file_contract"]


def file_contract(
    plugin: TaskPlugin[Any], model: Path, config: str | None = None
) -> tuple[ExportSpec, ExportConfig]:
    """Return the export spec and settings that the file ``model`` must keep.

    Args:
        plugin: the task whose contract is asked for.
        model: the file; a record beside it that describes its very bytes is believed.
        config: a config file, or the name of a shipped one, that goes before the record. Without
            either, the task's own config decides.

    Raises:
        ConfigError: no such config, or one that the task refuses.
        PublishError: the file or the sidecar beside it cannot be read.
    """
    sha256 = sha256_file(model)
    record = record_beside(model, sha256)
    if config is None and record is not None and record.task == plugin.name:
        resolved = config_of_record(plugin, record)
    else:
        resolved = resolve_config(plugin, config)
    data = getattr(resolved, "data", None)
    if data is not None and not resolved.smoke and getattr(data, "root", resolved) is None:
        # A contract needs no data, but a real model is not made without: any folder stands for it.
        resolved = resolved.model_copy(update={"data": data.model_copy(update={"root": Path()})})
    spec = plugin.create(resolved).export_spec()
    small = record is not None and record.quantised is not None and record.quantised.sha256 == sha256
    return with_added_ops(spec) if small else spec, resolved.export
