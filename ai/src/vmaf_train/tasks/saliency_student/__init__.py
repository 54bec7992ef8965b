"""The task ``saliency_student``: a tiny network that marks what stands out in a picture."""

from __future__ import annotations

from vmaf_train.task import Task, TaskPlugin
from vmaf_train.tasks.saliency_student.config import SaliencyConfig

__all__ = ["PLUGIN"]


def _create(config: SaliencyConfig) -> Task:
    from vmaf_train.tasks.saliency_student.task import SaliencyTask

    return SaliencyTask(config)


PLUGIN = TaskPlugin(
    name="saliency_student",
    summary="Saliency map of a frame, for the feature saliency_mean of the mobilesal extractor",
    config_type=SaliencyConfig,
    create=_create,
    kind="nr",
    config_file="saliency_student_v1",
    demo_config_file="smoke",
)
