"""The pictures of a model's page, drawn from its record alone."""

from __future__ import annotations

from vmaf_train.model_card import tested_curves_name
from vmaf_train.run_record import RunRecord

__all__ = ["page_pictures", "pictures_of_tests"]


def page_pictures(record: RunRecord) -> dict[str, bytes]:
    """Return all pictures that the page shows, by name; the same bytes for the same record."""
    pictures = pictures_of_tests(record)
    if record.training.history:
        # matplotlib comes in only where there is something to draw.
        from vmaf_train.figures import curves

        svg = curves(record.training.history, record.id, form="svg")
        pictures = {f"{record.id}_curves.svg": svg, **pictures}
    return pictures


def pictures_of_tests(record: RunRecord) -> dict[str, bytes]:
    """Return the picture of the curves on the sets it was tested on, by name; none without curves."""
    if all(test.curves is None for test in record.evaluations):
        return {}
    from vmaf_train.figures import record_curves

    drawn = record_curves(record)
    return {tested_curves_name(record.id): drawn} if drawn is not None else {}
