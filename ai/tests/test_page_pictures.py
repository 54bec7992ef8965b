from __future__ import annotations

import pytest

from records import altered, tiny_record, tiny_test
from vmaf_train.figures import curves, record_curves
from vmaf_train.model_card import page_figures
from vmaf_train.page_pictures import page_pictures, pictures_of_tests
from vmaf_train.run_record import RunRecord


def with_test(record: RunRecord, *, drawn: bool) -> RunRecord:
    sha256 = next(iter(record.forms))
    test = tiny_test(sha256) if drawn else tiny_test(sha256, curves=None)
    return record.model_copy(update={"evaluations": (test,)})


TINY = tiny_record()


@pytest.mark.parametrize(
    "record",
    [
        TINY,
        with_test(TINY, drawn=False),
        with_test(TINY, drawn=True),
        with_test(altered(TINY, {"training.history": []}), drawn=True),
        altered(TINY, {"training.history": []}),
    ],
)
def test_exactly_the_pictures_that_the_page_shows_are_drawn(record: RunRecord) -> None:
    assert tuple(page_pictures(record)) == page_figures(record)


def test_they_are_those_of_the_run_and_of_the_tests() -> None:
    record = with_test(TINY, drawn=True)
    assert page_pictures(record) == {
        "tiny_v1_curves.svg": curves(record.training.history, record.id, form="svg"),
        "tiny_v1_tested_curves.svg": record_curves(record),
    }
    assert tuple(pictures_of_tests(record)) == ("tiny_v1_tested_curves.svg",)
