import optuna
import pytest
from optuna.trial import TrialState

from recsys_tasks.errors import TrainingFailed
from recsys_tasks.search.study import RANDOM_TRIALS, Score, best, carry_on, judged, open_study

START = {"x": 0.5, "kind": "plain"}
# Past the random ones, so that TPE's own draws are tested too.
TRIALS = RANDOM_TRIALS + 3


class Killed(BaseException):
    """As a signal: no code of ours sees it."""


def score(trial):
    x = trial.suggest_float("x", 0.0, 1.0)
    kind = trial.suggest_categorical("kind", ["plain", "odd"])
    return Score((kind == "odd") - (x - 0.3) ** 2, {"x squared": x * x})


def searched(file, trials=TRIALS, score=score, seed=1):
    study = open_study(file, "one")
    carry_on(study, trials, seed=seed, start=START, score=score)
    return study


def told(study):
    return [(trial.params, trial.value) for trial in judged(study)]


def dying(at):
    """A score during whose ``at``-th call the process is killed, in the middle of its suggestions."""
    calls = []

    def dies(trial):
        calls.append(trial)
        if len(calls) == at:
            trial.suggest_float("x", 0.0, 1.0)
            raise Killed
        return score(trial)

    return dies


@pytest.fixture
def whole(tmp_path):
    return told(searched(tmp_path / "whole.db"))


def test_the_first_trial_is_the_start_and_the_best_is_found(tmp_path, whole):
    assert whole[0][0] == START
    assert len({params["x"] for params, _ in whole}) == TRIALS, "each trial draws anew"
    study = searched(tmp_path / "study.db")
    assert best(study).value == max(value for _, value in whole) > whole[0][1]
    assert best(study).user_attrs["x squared"] == pytest.approx(best(study).params["x"] ** 2)


def test_a_seed_repeats_and_another_does_not(tmp_path, whole):
    assert told(searched(tmp_path / "again.db")) == whole
    assert told(searched(tmp_path / "other.db", seed=2)) != whole


def test_a_second_call_goes_on_where_the_first_stopped(tmp_path, whole):
    searched(tmp_path / "study.db", trials=3)
    assert told(searched(tmp_path / "study.db")) == whole


def test_a_second_call_for_as_many_trials_does_nothing(tmp_path, whole):
    searched(tmp_path / "study.db")
    assert told(searched(tmp_path / "study.db", score=dying(1))) == whole


@pytest.mark.parametrize("at", [1, 2, RANDOM_TRIALS + 2])
def test_a_killed_trial_poisons_nothing(tmp_path, whole, at):
    with pytest.raises(Killed):
        searched(tmp_path / "study.db", score=dying(at))
    study = searched(tmp_path / "study.db")
    assert told(study) == whole
    states = [trial.state for trial in study.get_trials()]
    assert states.count(TrialState.FAIL) == 1
    assert states[at - 1] == TrialState.FAIL


def test_a_training_that_fails_is_judged_and_the_search_goes_on(tmp_path):
    def fails_at_odd(trial):
        found = score(trial)
        if trial.params["kind"] == "odd":
            raise TrainingFailed("the loss is nan\nand more")
        return found

    study = searched(tmp_path / "study.db", score=fails_at_odd)
    assert len(judged(study)) == TRIALS
    failed = [trial for trial in judged(study) if trial.state == TrialState.FAIL]
    assert failed
    assert {trial.user_attrs["judged"] for trial in failed} == {"the loss is nan"}
    assert best(study).params["kind"] == "plain"


def test_an_error_that_is_no_trainings_fault_passes_and_its_trial_is_tried_again(tmp_path, whole):
    def breaks(trial):
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        searched(tmp_path / "study.db", score=breaks)
    assert told(searched(tmp_path / "study.db")) == whole


def test_of_equal_trials_the_first_is_best_and_of_none_there_is_none(tmp_path):
    assert best(open_study(tmp_path / "study.db", "empty")) is None
    study = searched(tmp_path / "study.db", score=lambda trial: Score(0.0, {}))
    assert best(study).number == 0


def test_two_names_are_two_studies_of_one_file(tmp_path):
    searched(tmp_path / "study.db")
    assert judged(open_study(tmp_path / "study.db", "two")) == []
    assert isinstance(open_study(tmp_path / "study.db", "one"), optuna.Study)
