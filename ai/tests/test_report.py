from __future__ import annotations

import io

import pytest
from rich.console import Console

from records import tiny_record
from vmaf_train.report import ConsoleReporter, SilentReporter, closing_reporter
from vmaf_train.summary import summary_table

HISTORY = tiny_record().training.history


def reporter(*, terminal: bool = False, width: int = 60) -> tuple[ConsoleReporter, io.StringIO]:
    text = io.StringIO()
    return ConsoleReporter(Console(file=text, force_terminal=terminal, width=width)), text


def whole_run(say: ConsoleReporter) -> None:
    say.stage("data: [bold]x[/y]: 12 to train on")
    for done in range(1, 4):
        say.progress("decode [x] [/y]", done, 3)
    say.training(epochs=2, steps=2, batch_size=4, done=0)
    for record in HISTORY:
        for _ in range(2):
            say.step(record.epoch, float("nan"))
        say.epoch(record, best=record.epoch == 2)


def test_without_a_terminal_there_is_a_line_for_each_stage_and_epoch_and_no_bar() -> None:
    say, text = reporter()
    with closing_reporter(say):
        whole_run(say)
    lines = text.getvalue().splitlines()
    assert lines[0] == "data: [bold]x[/y]: 12 to train on"
    assert lines[1].startswith("decode [x] [/y]: 3 in ")
    assert lines[2] == "epoch 1/2  loss 1.5000  iou 0.3000  mae 0.2000  31.0 images/s  40 s"
    assert lines[3] == "epoch 2/2  loss 0.7500  iou 0.6000  mae 0.1000  32.0 images/s  40 s  best"
    assert len(lines) == 4
    assert "\x1b" not in text.getvalue()


def test_on_a_terminal_there_is_a_bar_and_the_cursor_comes_back() -> None:
    say, text = reporter(terminal=True, width=120)
    with closing_reporter(say):
        whole_run(say)
    shown = text.getvalue()
    assert "images/s" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") > 0


def test_the_terminal_is_given_back_when_a_run_fails() -> None:
    say, text = reporter(terminal=True)

    def fail() -> None:
        say.training(epochs=1, steps=5, batch_size=1, done=0)
        raise RuntimeError("diverged")

    with pytest.raises(RuntimeError, match="diverged"), closing_reporter(say):
        fail()
    assert text.getvalue().count("\x1b[?25h") == 1


def test_a_figure_that_is_no_number_is_told_as_such() -> None:
    say, text = reporter()
    say.epoch(HISTORY[0].model_copy(update={"loss": None, "metrics": {"iou": None}}), best=False)
    assert text.getvalue().startswith("epoch 1/0  loss n/a  iou n/a  ")


def test_a_resumed_run_counts_from_where_it_stopped() -> None:
    say, text = reporter(terminal=True, width=120)
    say.training(epochs=10, steps=5, batch_size=1, done=35)
    say.step(8, 0.5)
    say.close()
    assert "epoch 8/10" in text.getvalue()
    assert "36/50" in text.getvalue()


def test_a_step_outside_of_training_and_a_second_close_do_nothing() -> None:
    say, text = reporter()
    say.step(1, 0.5)
    say.close()
    say.close()
    silent = SilentReporter()
    silent.stage("x")
    silent.progress("x", 1, 2)
    silent.training(1, 1, 1, 0)
    silent.step(1, 0.5)
    silent.epoch(HISTORY[0], best=True)
    silent.close()
    assert text.getvalue() == ""


def test_the_summary_tells_the_records_figures() -> None:
    text = io.StringIO()
    record = tiny_record(changes={"gate.metrics.mae": None, "export.parity_limit": 2.5e-6})
    Console(file=text, width=120).print(summary_table(record), markup=False)
    for part in (
        "0.6012 (gate: at least 0.5)",
        "not computed",
        "11,284",
        "2, 2",
        "80 s, 31.5 images/s",
        "Conv, Sigmoid",
        "3.2e-06 (limit 2.5e-06)",
    ):
        assert part in text.getvalue()
    short = summary_table(tiny_record(changes={"export": None, "training.history": []}))
    assert short.row_count == 3
