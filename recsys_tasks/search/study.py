"""
A study that can be stopped at any instant and carried on: Optuna in one SQLite file.

The sampler (TPE, Bergstra et al. 2011) is seeded afresh for each trial by how many were judged before it. So a search
that was killed five times ends as one that never was: the trial it died in is marked as failed, counts as nothing and
is tried again with the same suggestions. There is no pruner: an encoder is judged when its training has ended.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from recsys_tasks.errors import TrainingFailed

log = logging.getLogger(__name__)

# Marks a trial that ended by itself, well or badly; one without was cut off.
JUDGED = "judged"
# Trials before TPE begins to learn from them.
RANDOM_TRIALS = 8


@dataclass(frozen=True)
class Score:
    """What is maximised, and the figures it is made of."""

    value: float
    figures: Mapping[str, float]


def open_study(file: Path, name: str) -> optuna.Study:
    """The study of that name in the file; both are made where they are missing."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file.parent.mkdir(parents=True, exist_ok=True)
    return optuna.create_study(
        storage=f"sqlite:///{file}", study_name=name, direction="maximize", load_if_exists=True
    )


def carry_on(
    study: optuna.Study,
    trials: int,
    *,
    seed: int,
    start: Mapping[str, Any],
    score: Callable[[optuna.Trial], Score],
) -> int:
    """
    Try until ``trials`` have been judged, those of earlier calls included; how many this call judged.

    The first suggestions are ``start``. A training that fails (TrainingFailed) is judged too: it will fail again. Any
    other error passes, and its trial counts as cut off. Only one process may work on a study at a time.
    """
    for cut_off in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(cut_off.number, state=TrialState.FAIL)
    before = len(judged(study))
    for done in range(before, trials):
        study.sampler = optuna.samplers.TPESampler(seed=seed + done, n_startup_trials=RANDOM_TRIALS)
        if done == 0 and not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            study.enqueue_trial(dict(start))
        _try(study, score, f"trial {done + 1} of {trials}")
    return max(0, trials - before)


def judged(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that ended by themselves, in order."""
    return [trial for trial in study.get_trials(deepcopy=False) if JUDGED in trial.user_attrs]


def best(study: optuna.Study) -> FrozenTrial | None:
    """The best trial, of equal ones the first; none where none has a value."""
    scored = [trial for trial in judged(study) if trial.state == TrialState.COMPLETE]
    return max(scored, key=lambda trial: (trial.value, -trial.number), default=None)


def _try(study: optuna.Study, score: Callable[[optuna.Trial], Score], told: str) -> None:
    trial = study.ask()
    try:
        found = score(trial)
    except TrainingFailed as error:
        trial.set_user_attr(JUDGED, str(error).splitlines()[0])
        study.tell(trial, state=TrialState.FAIL)
        log.warning("%s: training failed: %s", told, error)
        return
    for name, value in found.figures.items():
        trial.set_user_attr(name, value)
    trial.set_user_attr(JUDGED, "yes")
    study.tell(trial, found.value)
    log.info("%s: %+.4f", told, found.value)
