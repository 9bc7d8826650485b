"""What a search found: the best choice as YAML, every trial in a table, what mattered in a picture."""

from pathlib import Path
from typing import Any, TypeVar

import optuna
import polars as pl
import yaml
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from recsys_tasks.files import write_whole
from recsys_tasks.search.picture import draw
from recsys_tasks.search.space import Space
from recsys_tasks.search.study import JUDGED, best, judged

BEST, TRIALS, PICTURE = "best.yaml", "trials.csv", "what_mattered.png"
# Fewer say nothing about what mattered.
ENOUGH = 10
C = TypeVar("C")


def write_found(folder: Path, study: optuna.Study, space: Space[C]) -> dict[str, Any]:
    """
    Write BEST, TRIALS and PICTURE; the facts for whoever asked.

    BEST holds what ``Space.as_file`` says of the best choice: a policy, or settings for ``tuned``.
    """
    winner, tried = best(study), judged(study)
    table(tried).write_csv(folder / TRIALS)
    mattered, where_asked = importances(study), importances_where_asked(study)
    draw(folder / PICTURE, [trial.value for trial in tried], mattered, space.axis, where_asked)
    facts: dict[str, Any] = {"trials": len(tried), "failed": len(tried) - len(_scored(tried))}
    if winner is None:
        return facts | {"best": None}
    told = space.as_file(space.choice(FixedTrial(winner.params)))
    first = tried[0].value if tried[0].state == TrialState.COMPLETE else None
    write_whole(folder / BEST, _header(winner, first, space) + yaml.safe_dump(told, sort_keys=False))
    return facts | {
        "best": {"trial": winner.number, "value": winner.value, "start": first, **_figures(winner)},
        "mattered": mattered,
        "mattered_where_asked": where_asked,
        "file": str(folder / BEST),
    }


def table(tried: list[FrozenTrial]) -> pl.DataFrame:
    """A row a trial: number, value (null where training failed), its figures, seconds, its suggestions."""
    rows = [
        {
            "trial": trial.number,
            "value": trial.value,
            **_figures(trial),
            "failed": None if trial.state == TrialState.COMPLETE else trial.user_attrs[JUDGED],
            **trial.params,
        }
        for trial in tried
    ]
    return pl.DataFrame(rows, infer_schema_length=None)


def importances(study: optuna.Study) -> dict[str, float]:
    """
    The share of the values' variance that each setting explains (fANOVA, Hutter et al. 2014), adding up to 1.

    Of the settings that every trial had. Optuna's default, PED-ANOVA, looks at the best tenth only, which of twenty
    trials is two: on known functions it often named the wrong setting.
    """
    scored = _scored(judged(study))
    return _explained(study, scored, _in_all(scored))


def importances_where_asked(study: optuna.Study) -> dict[str, float]:
    """
    The same of the settings that only some trials had, as the negatives' shares: what they explain among those trials,
    where all other settings explain the rest.
    """
    scored = _scored(judged(study))
    common = _in_all(scored)
    some = {name for trial in scored for name in trial.params} - common
    had = [trial for trial in scored if some and some <= trial.params.keys()]
    found = _explained(study, had, common | some)
    return {name: share for name, share in found.items() if name in some}


def _in_all(trials: list[FrozenTrial]) -> set[str]:
    return set.intersection(*(set(trial.params) for trial in trials)) if trials else set()


def _explained(study: optuna.Study, trials: list[FrozenTrial], names: set[str]) -> dict[str, float]:
    """Of these settings, among ``trials``: all that have them and a value."""
    if len(trials) < ENOUGH or len({trial.value for trial in trials}) < 2:
        return {}
    forest = optuna.importance.FanovaImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(study, evaluator=forest, params=sorted(names))
    return {name: round(float(value), 4) for name, value in found.items()}


def _scored(tried: list[FrozenTrial]) -> list[FrozenTrial]:
    return [trial for trial in tried if trial.state == TrialState.COMPLETE]


def _figures(trial: FrozenTrial) -> dict[str, Any]:
    return {name: value for name, value in trial.user_attrs.items() if name != JUDGED}


def _header(winner: FrozenTrial, first: float | None, space: Space[C]) -> str:
    start = "" if first is None else f"; where the search started: {first:+.4f}"
    told = f"# Trial {winner.number}: {winner.value:+.4f} over {space.over}{start}\n"
    beside = yaml.safe_dump(space.beside(), default_flow_style=True, width=1000).strip()
    return told + (f"# Tried with {beside}\n" if space.beside() else "")
