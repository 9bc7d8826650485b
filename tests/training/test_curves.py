import logging
import os
import signal

import pytest

from recsys_tasks.training import curves
from recsys_tasks.training.curves import Curves
from recsys_tasks.training.tracker_runs import Run


class Noted:
    """A tracker that keeps what it is told; while it is ``away`` it raises."""

    def __init__(self):
        self.away, self.began, self.steps, self.status, self.tries = False, [], [], None, 0

    def begin(self, run, first):
        self._answer()
        self.began.append(first)

    def tell(self, step, figures):
        self._answer()
        self.steps.append(step)

    def end(self, status):
        self._answer()
        self.status = status

    def _answer(self):
        self.tries += 1
        if self.away:
            raise ConnectionError("nobody at http://ops:secret@mlflow:5000/api")


@pytest.fixture
def trackers(monkeypatch):
    made = {"steady": Noted(), "shaky": Noted()}
    monkeypatch.setattr(curves, "TRACKERS", {name: lambda one=one: one for name, one in made.items()})
    return made


@pytest.fixture
def of(tmp_path, trackers):
    return Curves(Run(tmp_path, "f" * 64, {}), list(trackers))


def told(watch, steps):
    for step in steps:
        watch.tell(step, {"loss": 1.0})


def all_told(watch, steps):
    with watch:
        watch.begin(steps[0])
        told(watch, steps)


def left_by(error, watch):
    with watch:
        watch.begin(0)
        raise error


def signalled(watch):
    with watch:
        watch.begin(0)
        os.kill(os.getpid(), signal.SIGTERM)


def test_each_tracker_is_told_where_it_begins_every_step_and_the_end(of, trackers):
    with of:
        of.begin(3)
        told(of, range(3, 6))
    for one in trackers.values():
        assert (one.began, one.steps, one.status) == ([3], [3, 4, 5], "FINISHED")


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED"), (SystemExit, "KILLED")]
)
def test_how_a_training_ends_is_told_by_how_it_is_left(of, trackers, error, status):
    with pytest.raises(error):
        left_by(error, of)
    assert [one.status for one in trackers.values()] == [status, status]


def test_a_training_that_is_ended_from_outside_is_killed_and_a_second_signal_changes_nothing(
    of, trackers, monkeypatch
):
    before = signal.getsignal(signal.SIGTERM)
    end = trackers["steady"].end
    monkeypatch.setattr(
        trackers["steady"], "end", lambda status: (os.kill(os.getpid(), signal.SIGTERM), end(status))
    )
    with pytest.raises(SystemExit) as ended:
        signalled(of)
    assert ended.value.code == 128 + signal.SIGTERM
    assert [one.status for one in trackers.values()] == ["KILLED", "KILLED"]
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_step_that_the_signal_breaks_off_is_not_told_a_second_time(of, trackers, monkeypatch):
    steady = trackers["steady"]

    def told_and_stopped(step, figures):
        steady.steps.append(step)
        if step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(steady, "tell", told_and_stopped)
    with pytest.raises(SystemExit):
        all_told(of, range(5))
    assert (steady.steps, steady.status) == ([0, 1, 2], "KILLED")


def test_a_signal_while_one_tracker_is_told_the_end_keeps_it_from_nobody_else(of, trackers, monkeypatch):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(trackers["steady"], "end", lambda status: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit), of:
        of.begin(0)
    assert trackers["shaky"].status == "FINISHED"
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_tracker_that_failed_is_opened_anew_from_the_first_step_it_lacks(of, trackers):
    shaky = trackers["shaky"]
    with of:
        of.begin(0)
        told(of, range(2))
        shaky.away = True
        told(of, range(2, 4))
        shaky.away = False
    assert (shaky.began, shaky.steps) == ([0, 2], [0, 1, 2, 3])


def test_a_tracker_that_comes_back_has_the_whole_curve(of, trackers, caplog):
    shaky = trackers["shaky"]
    with caplog.at_level(logging.WARNING), of:
        of.begin(0)
        told(of, range(2))
        shaky.away = True
        told(of, range(2, 50))
        # One try, not one a step: each may wait for a network.
        assert shaky.tries == 4
        shaky.away = False
    assert (shaky.steps, shaky.status) == (list(range(50)), "FINISHED")
    assert trackers["steady"].steps == list(range(50))
    (warning,) = caplog.messages
    assert "shaky cannot be told: ConnectionError: nobody at" in warning
    assert "secret" not in warning


def test_a_tracker_that_was_away_at_the_start_begins_at_the_end(of, trackers):
    shaky = trackers["shaky"]
    shaky.away = True
    with of:
        of.begin(6)
        told(of, range(6, 9))
        shaky.away = False
    assert (shaky.began, shaky.steps, shaky.status) == ([6], [6, 7, 8], "FINISHED")


def test_a_tracker_that_stays_away_costs_two_tries_and_a_warning_not_the_training(of, trackers, caplog):
    trackers["shaky"].away = True
    with caplog.at_level(logging.WARNING), of:
        of.begin(0)
        told(of, range(5))
    assert trackers["shaky"].tries == 2
    assert "shaky lacks 5 steps" in caplog.messages[-1]
    assert trackers["steady"].status == "FINISHED"


def test_a_killed_training_does_not_wait_for_a_tracker_that_is_away(of, trackers):
    trackers["shaky"].away = True
    with pytest.raises(KeyboardInterrupt):
        left_by(KeyboardInterrupt, of)
    assert trackers["shaky"].tries == 1
    assert trackers["steady"].status == "KILLED"


def test_a_training_that_failed_before_its_steps_opens_no_run(of, trackers):
    with pytest.raises(ValueError, match="no memory"), of:
        raise ValueError("no memory")
    assert trackers["steady"].tries == 0


def test_without_a_run_nobody_is_told_and_signals_stay_as_they_are():
    before = signal.getsignal(signal.SIGTERM)
    with Curves(None, ["tensorboard"]) as watch:
        assert signal.getsignal(signal.SIGTERM) == before
        watch.begin(0)
        told(watch, [0])
