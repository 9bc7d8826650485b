"""Which nights were made from what the lake no longer says, and what it would cost to make them again."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from recsys_tasks.calendar import Night
from recsys_tasks.settings import Settings, load_settings
from recsys_tasks.steps import NIGHT_STEPS
from recsys_tasks.steps.audit_time import refs_in
from recsys_tasks.steps.job import Job
from recsys_tasks.steps.lake_states import States
from recsys_tasks.steps.records import made_seconds, record_of
from recsys_tasks.workspace import MADE_BY, Artefact, Facts, Workspace

# What each artefact takes from the lake: (key of the manifest's inputs, night or the days before its window, what).
READS = {
    "pairs": ("events", "before_window", "events"),
    "encoder": ("items", "night", "items"),
    "vectors": ("items", "night", "items"),
    "ranker": ("events", "before_window", "events"),
    "index": ("lake", "night", None),
    "evaluation": ("lake", "night", None),
    "refit": ("lake", "night", None),
    "lists": ("lake", "night", None),
}


@dataclass(frozen=True)
class Stale:
    """
    A night whose inputs changed since. ``days`` and ``catalogue`` say what changed, ``remade`` what a new run of the
    night would make again, ``seconds`` what that took last time (None: no record tells).
    """

    night: str
    days: list[str]
    catalogue: bool
    remade: list[str]
    seconds: float | None

    def facts(self) -> Facts:
        return dict(vars(self))


def stale() -> list[Facts]:
    """The stale nights, oldest first; a night is as its latest run left it."""
    settings = load_settings()
    workspace = Workspace(settings.home)
    nights = [settings.night(night) for night in nights_made(workspace)]
    if not nights:
        return []
    states = States(Job(settings, nights[-1]).lake, nights[-1])
    found = (_stale(settings, workspace, night, states) for night in nights)
    return [each.facts() for each in found if each is not None]


def nights_made(workspace: Workspace) -> list[str]:
    """The nights that have an artefact, oldest first."""
    return sorted({place.parent.name for place in workspace.artefacts.glob("*/[0-9]*/current")})


def _stale(settings: Settings, workspace: Workspace, night: Night, states: States) -> Stale | None:
    made = _without_idle_refit({n: it for n in MADE_BY if (it := workspace.find(n, night)) is not None})
    changed = [name for name, artefact in made.items() if _reads_otherwise(artefact, night, states)]
    if not changed:
        return None
    remade = list(_with_what_follows(made, changed))
    return Stale(
        night=str(night),
        days=_changed_days(made.values(), night, states),
        catalogue=any(_items_differ(made[name], night, states) for name in changed),
        remade=remade,
        seconds=_seconds(Job(settings, night), remade),
    )


def _without_idle_refit(made: dict[str, Artefact]) -> dict[str, Artefact]:
    """Without a refit that an earlier run of the night left, and that its lists do not come from any more."""
    lists, refit = made.get("lists"), made.get("refit")
    if refit is None or (lists is not None and refit.ref in refs_in(lists.manifest["inputs"])):
        return made
    return {name: artefact for name, artefact in made.items() if name != "refit"}


def _reads_otherwise(artefact: Artefact, night: Night, states: States) -> bool:
    if artefact.name not in READS:
        return False
    key, _, part = READS[artefact.name]
    now = _now(artefact, night, states)
    inputs = artefact.manifest["inputs"]
    if artefact.name == "ranker" and inputs["items"] != now["items"]:
        return True
    return bool(inputs[key] != (now if part is None else now[part]))


def _now(artefact: Artefact, night: Night, states: States) -> dict[str, str]:
    """What the lake would tell the artefact's step today."""
    if READS[artefact.name][1] == "before_window":
        # The window that the artefact was made with: another one since is a change of settings, not of inputs.
        days = artefact.manifest["settings"].get("gate_days", night.gate_days)
        return states.of(replace(night, gate_days=days).shift(-days))
    return states.of(night)


def _items_differ(artefact: Artefact, night: Night, states: States) -> bool:
    inputs = artefact.manifest["inputs"]
    before = inputs.get("lake", inputs).get("items")
    return before is not None and before != _now(artefact, night, states)["items"]


def _with_what_follows(made: dict[str, Artefact], changed: list[str]) -> Iterator[str]:
    """Those artefacts and what was made from them that night, in the order they are made."""
    gone: set[str] = set()
    for name, artefact in made.items():
        if name in changed or gone & set(refs_in(artefact.manifest["inputs"])):
            gone.add(artefact.ref)
            yield name


def _changed_days(made: Iterable[Artefact], night: Night, states: States) -> list[str]:
    """Days whose rows changed, came or went, as far as manifests tell."""
    days: set[str] = set()
    for artefact in made:
        then: dict[str, Any] | None = artefact.manifest.get("recorded", {}).get("days")
        if then is not None:
            until = max(then, default="")
            now = states.days(night) if artefact.name == "lists" else _up_to(states.days(night), until)
            days |= {day for day in {**then, **now} if then.get(day) != now.get(day)}
    return sorted(days)


def _up_to(days: dict[str, str], last: str) -> dict[str, str]:
    return {day: found for day, found in days.items() if day <= last}


def _seconds(job: Job, remade: Iterable[str]) -> float | None:
    """What a new run costs: the steps that make something again, and those that make nothing and always run."""
    again = {MADE_BY[name] for name in remade}
    steps = [step for step in NIGHT_STEPS if step in again or step not in MADE_BY.values()]
    records = [record for step in steps if (record := record_of(job, step)) is not None]
    if not records:
        return None
    return round(sum(map(made_seconds, records)), 1)
