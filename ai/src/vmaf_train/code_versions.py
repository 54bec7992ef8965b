"""Which versions of code a run is made with: the framework's, and that of whoever brings the task."""

from __future__ import annotations

import importlib.metadata

import vmaf_train

__all__ = ["ENTRY_POINT_GROUP", "code_versions"]

ENTRY_POINT_GROUP = "vmaf_train.tasks"


def code_versions(task: object) -> dict[str, str]:
    """Return the version of vmaf_train and of the packages that declare tasks of ``task``'s module.

    A package whose metadata cannot be read is left out.
    """
    versions = {"vmaf_train": vmaf_train.__version__}
    module = type(task).__module__.partition(".")[0]
    if module != "vmaf_train":
        try:
            for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP):
                if point.module.partition(".")[0] == module and point.dist is not None:
                    versions[point.dist.name] = point.dist.version
        except Exception:  # one damaged package must not stop the others' runs
            return versions
    return versions
