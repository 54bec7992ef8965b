"""How well a map fits its truth, one pair at a time.

The arithmetic is PySODMetrics'. The map is judged as the model gives it: it is not stretched to
0..1 picture by picture, because no reader of the model does that.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vmaf_train.errors import ConfigError, DataError

__all__ = ["BETA_SQUARED", "IOU_THRESHOLD", "LEVELS", "PairMeasures", "iou", "load_measures", "measure"]

IOU_THRESHOLD = 0.5
"""A map's pixel is foreground when it is at least this."""

LEVELS = 256
"""The thresholds of all curves: level / 255, level 0 to 255."""

BETA_SQUARED = 0.3
"""Weight of recall against precision in F, as Achanta et al., CVPR 2009, chose it."""

Truth = NDArray[np.bool_]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class PairMeasures:
    """The measures of one map; curves are float64 ``[256]``, index = level of the threshold.

    Attributes:
        iou: intersection over union at ``IOU_THRESHOLD``, 0..1; 1 where both are empty.
        mae: mean absolute error, 0..1.
        f_weighted: Margolin et al., "How to Evaluate Foreground Maps?", CVPR 2014; 0 for an empty
            truth.
        s: S-measure, Fan et al., ICCV 2017.
        f: F-measure at each threshold.
        precision: at each threshold; 0 where the map is below it everywhere.
        recall: at each threshold; 0 for an empty truth.
        e: E-measure at each threshold, Fan et al., IJCAI 2018.
    """

    iou: float
    mae: float
    f_weighted: float
    s: float
    f: Values
    precision: Values
    recall: Values
    e: Values


def load_measures() -> ModuleType:
    """Return PySODMetrics.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import py_sod_metrics
    except ImportError as error:
        raise ConfigError(
            "evaluation",
            expected="the package pysodmetrics",
            found="it is not installed",
            next_step="pip install 'vmaf-train[eval]'",
        ) from error
    module: ModuleType = py_sod_metrics
    return module


def iou(shown: Truth, truth: Truth) -> float:
    """Return intersection over union of two bool arrays of one shape; 1 where both are empty."""
    union = int(np.count_nonzero(shown | truth))
    # 0/0 is agreement on emptiness, as in the gate of a run.
    return int(np.count_nonzero(shown & truth)) / union if union else 1.0


def measure(values: NDArray[np.floating], truth: Truth) -> PairMeasures:
    """Measure one map; safe to call from several threads.

    Args:
        values: the map ``[H, W]``, 0..1.
        truth: foreground ``[H, W]``.

    Raises:
        ConfigError: PySODMetrics is not installed.
        DataError: another shape than the truth's, or a single pixel, on which E is not defined.
    """
    sod = load_measures()
    if values.shape != truth.shape or truth.size < 2:
        raise DataError(
            "a map and its truth",
            expected="the same size, at least two pixels",
            found=f"{values.shape} and {truth.shape}",
            next_step="take the pair out",
        )
    fed = values.astype(np.float64)
    once: dict[str, Any] = {"with_adaptive": False, "with_dynamic": True}
    counted = sod.FmeasureV2(
        {
            "f": sod.FmeasureHandler(beta=BETA_SQUARED, **once),
            "precision": sod.PrecisionHandler(**once),
            "recall": sod.RecallHandler(**once),
        }
    )
    mae, weighted, aligned = sod.MAE(), sod.WeightedFmeasure(), sod.Emeasure()
    for judge in (counted, mae, weighted, aligned):
        judge.step(fed, truth, normalize=False)
    # The library's curves run from the highest threshold down.
    curves = {name: found["dynamic"][::-1] for name, found in counted.get_results().items()}
    return PairMeasures(
        iou=iou(values >= IOU_THRESHOLD, truth),
        mae=float(mae.get_results()["mae"]),
        f_weighted=float(weighted.get_results()["wfm"]),
        s=_structure(sod, fed, truth),
        e=aligned.get_results()["em"]["curve"][::-1],
        **curves,
    )


def _structure(sod: ModuleType, values: Values, truth: Truth) -> float:
    judge = sod.Smeasure()
    of_a_part = judge.ssim

    def ssim(part: Values, wanted: Truth) -> float:
        # Foreground in the last row or column alone leaves a quarter without pixels, of weight 0.
        return float(of_a_part(part, wanted)) if part.size else 0.0

    judge.ssim = ssim
    judge.step(values, truth, normalize=False)
    return float(judge.get_results()["sm"])
