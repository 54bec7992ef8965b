"""Results put into the run record of the registered model that they were measured on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from vmaf_train.errors import ConfigError
from vmaf_train.page_pictures import pictures_of_tests
from vmaf_train.publish import republish_card
from vmaf_train.registry import load_sidecar, require_row
from vmaf_train.run_record import Evaluation, RunRecord
from vmaf_train.staging import finish_interrupted

__all__ = ["attach", "require_registered"]


def require_registered(model_dir: Path, docs_dir: Path, model_id: str, digests: Sequence[str]) -> RunRecord:
    """Return the record of a registered model, after finding a file of it among those to evaluate.

    Args:
        model_dir: the registry's folder.
        docs_dir: the folder of docs pages.
        model_id: the model to append to.
        digests: SHA-256 of each file to evaluate.

    Raises:
        ConfigError: no such model, or none of the files is the one that its record describes.
        PublishError: registry or sidecar is damaged.
    """
    finish_interrupted(model_dir, docs_dir)
    record = _record(model_dir, model_id)
    if record.forms.keys().isdisjoint(digests):
        _refuse(record, digests, model_dir)
    return record


def attach(
    model_dir: Path, docs_dir: Path, model_id: str, evaluations: Sequence[Evaluation]
) -> tuple[Path, ...]:
    """Add evaluations to a model's record and write sidecar, card, page, curves and index anew.

    An earlier evaluation of the same file on the same set by the same protocol is replaced.

    Returns:
        the files written.

    Raises:
        ConfigError: the model is gone, or an evaluation is of other bytes than its record's.
        PublishError: the registry is damaged or locked, or its folder cannot be written.
    """

    def same_test(evaluation: Evaluation) -> tuple[str, str, str]:
        return evaluation.dataset, evaluation.protocol, evaluation.model_sha256

    def extended(record: RunRecord) -> RunRecord:
        if strangers := {evaluation.model_sha256 for evaluation in evaluations} - record.forms.keys():
            _refuse(record, sorted(strangers), model_dir)
        new = {same_test(evaluation) for evaluation in evaluations}
        kept = [old for old in record.evaluations if same_test(old) not in new]
        longer = record.model_copy(update={"evaluations": (*kept, *evaluations)})
        return RunRecord.model_validate(longer.model_dump())

    finish_interrupted(model_dir, docs_dir)
    require_row(model_dir, model_id)
    return republish_card(model_dir, docs_dir, model_id, extended, pictures_of_tests)


def _record(model_dir: Path, model_id: str) -> RunRecord:
    require_row(model_dir, model_id)
    return load_sidecar(model_dir, model_id).record


def _refuse(record: RunRecord, digests: Sequence[str], model_dir: Path) -> NoReturn:
    described = ", ".join(f"{form} {sha256}" for sha256, form in record.forms.items())
    raise ConfigError(
        f"results for model {record.id}",
        expected=f"a file that its record describes, by sha256: {described or 'none'}",
        found=", ".join(digests) or "none",
        next_step=f"evaluate {model_dir / f'{record.id}.onnx'}",
    )
