"""
What must hold of a night's stored artefacts: nothing in them may know what happened behind their own night.

Every rule looks at finished files and returns what it found: nothing, if all is well. The rules of ``pairs.audit`` look
at what training reads; these look at what it left.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import polars as pl

from recsys_tasks.calendar import Night
from recsys_tasks.evaluate.window import slices, targets
from recsys_tasks.lake.snapshot import Snapshot
from recsys_tasks.model.towers import FACTS
from recsys_tasks.pairs.audit import Finding, night_of_ref
from recsys_tasks.steps.serving import INDEX
from recsys_tasks.workspace import Artefact

# What has learned from the log, or is made of something that has.
FITTED = ("pairs", "encoder", "towers", "ranker")


@dataclass(frozen=True)
class Stored:
    """
    ``made`` are the artefacts of the night's lists by name, those of earlier nights that it used among them;
    ``sources`` names what each of them, all the way back, was made from. ``window`` has the events of the gate's days,
    ``before`` and ``snapshot`` the shop as of the window's start and of the night's end.
    """

    night: Night
    snapshot: Snapshot
    before: Snapshot
    window: pl.DataFrame
    target_events: tuple[str, ...]
    made: Mapping[str, Artefact]
    sources: Mapping[str, list[str]]

    def items_of(self, name: str, folder: str = "") -> pl.Series:
        """The ids that an artefact, or a folder in it, holds; empty where it is missing or holds none."""
        artefact = self.made.get(name)
        file = None if artefact is None else artefact.path / folder / "items.parquet"
        if file is None or not file.is_file():
            return pl.Series("item_id", [], dtype=pl.String)
        return pl.read_parquet(file, columns=["item_id"])["item_id"]


def cut_at_its_own_night(stored: Stored) -> Iterator[Finding]:
    """An artefact whose manifest names another end than that of the night it lies under."""
    wrong = [
        f"{artefact.ref} says {artefact.manifest['as_of']}"
        for artefact in stored.made.values()
        if artefact.manifest["as_of"] != _as(stored.night, artefact.night).as_of.isoformat()
    ]
    yield from _found("artefact cut at another instant than its night's end", wrong)


def made_from_the_past(stored: Stored) -> Iterator[Finding]:
    """Anything that was made from an artefact of a later night, or lists of a model from the future."""
    tonight = str(stored.night)
    late = [ref for ref in stored.sources if night_of_ref(ref) > tonight]
    tainted = [
        f"{ref} was made from {source}"
        for ref, found in stored.sources.items()
        for source in found
        if night_of_ref(source) > night_of_ref(ref)
    ]
    yield from _found("model from the future", late)
    yield from _found("artefact made from a later one", tainted)


def fitted_before_the_window(stored: Stored) -> Iterator[Finding]:
    """A model that saw days of the gate's window, by its manifest or by its own file, or that does not tell."""
    until = stored.night.train_until
    seen, silent = [], []
    for name in FITTED:
        artefact = stored.made.get(name)
        if artefact is None:
            continue
        told = list(_saw_until(artefact))
        seen += [f"{artefact.ref} saw the log up to {at.isoformat()}" for at in told if at > until]
        silent += [] if told else [artefact.ref]
    yield from _found("model fitted on days of the gate's window", seen)
    yield from _found("model that does not tell up to where it saw the log", silent)


def items_known_by_then(stored: Stored) -> Iterator[Finding]:
    """An item that nobody could know yet: learned without an event, or indexed though it was not offered."""
    touched = stored.before.events["item_id"].unique()
    listed = stored.snapshot.items["item_id"]
    learned, indexed = stored.items_of("towers"), stored.items_of("index")
    encoded = stored.items_of("vectors") if _own(stored, "vectors") else learned.clear()
    yield from _found("item in the towers that had no event yet", _without(learned, touched, listed))
    yield from _found("item encoded that the catalogue did not have yet", _without(encoded, listed))
    if _own(stored, "index"):
        yield from _found(
            "item indexed that was not offered yet", _without(indexed, stored.snapshot.eligible())
        )


def refit_ends_with_the_night(stored: Stored) -> Iterator[Finding]:
    """A refit may know the gate's window, but nothing at or behind the night's end."""
    refit = stored.made.get("refit")
    if refit is None:
        return
    told = list(_saw_until(refit))
    late = [f"{refit.ref} saw the log up to {at.isoformat()}" for at in told if at > stored.night.as_of]
    touched, listed = stored.snapshot.events["item_id"].unique(), stored.snapshot.items["item_id"]
    learned, indexed = stored.items_of("refit"), stored.items_of("refit", INDEX)
    yield from _found("refit that saw the log behind the night's end", late)
    yield from _found("refit that does not tell up to where it saw the log", [] if told else [refit.ref])
    yield from _found("item in the refit that had no event yet", _without(learned, touched, listed))
    yield from _found(
        "item in its index that was not offered yet", _without(indexed, stored.snapshot.eligible())
    )


def refit_makes_lists_only(stored: Stored) -> Iterator[Finding]:
    """Anything but lists that was made from a refit, which saw the days that the gate asks about."""
    used = [
        (ref, source)
        for ref, found in stored.sources.items()
        for source in found
        if source.startswith("refit/")
    ]
    wrong = [f"{ref} was made from {source}" for ref, source in used if not ref.startswith("lists/")]
    foreign = [
        f"{ref} was made from {source}, which goes on from {towers}"
        for ref, source in used
        for towers in stored.sources.get(source, [])
        if ref.startswith("lists/") and towers.startswith("towers/") and towers not in stored.sources[ref]
    ]
    yield from _found("refit used for anything but lists", wrong)
    yield from _found("lists of a refit of other towers than the gate accepted", foreign)


def lists_of_the_night(stored: Stored) -> Iterator[Finding]:
    """A list that offers an item, or addresses a shopper, that the night did not know."""
    lists = _lists(stored)
    if lists is None:
        return
    items, users = lists["item_id"].unique(), lists["user_id"].unique()
    known = stored.snapshot.events["user_id"].unique()
    yield from _found("item in a list that was not offered yet", _without(items, stored.snapshot.eligible()))
    yield from _found("list for a shopper without an event yet", _without(users, known))


def lists_in_a_stable_order(stored: Stored) -> Iterator[Finding]:
    """A list out of its total order: higher scores first, equal ones by item_id, ranks 1, 2, 3."""
    lists = _lists(stored)
    if lists is None:
        return
    above = pl.all().shift(1).over("user_id").name.suffix("_above")
    rows = lists.select("user_id", "rank", "item_id", "score").with_columns(above)
    first = pl.col("rank_above").is_null()
    risen = pl.col("score") > pl.col("score_above")
    untied = (pl.col("score") == pl.col("score_above")) & (pl.col("item_id") <= pl.col("item_id_above"))
    misplaced = pl.col("rank") != pl.col("rank_above").fill_null(0) + 1
    for rule, broken in (
        ("list with a better score below a worse one", ~first & risen),
        ("equal scores that are not in the order of item_id", ~first & untied),
        ("list whose ranks are not 1, 2, 3", misplaced),
    ):
        wrong = rows.filter(broken).select(pl.format("{} of {}", "item_id", "user_id")).to_series()
        yield from _found(rule, wrong)


def evaluated_on_its_window(stored: Stored) -> Iterator[Finding]:
    """An evaluation of other days, or that scored a shopper on what the history held already."""
    evaluation = stored.made.get("evaluation")
    if evaluation is None:
        return
    window = [stored.night.train_until.isoformat(), stored.night.as_of.isoformat()]
    told = evaluation.metrics["window"]
    yield from _found(
        "evaluation of other days than the gate's window",
        [] if told == window else [f"{evaluation.ref}: {told}"],
    )
    scores = pl.read_parquet(evaluation.path / "scores.parquet", columns=["user_id", "slice"]).unique()
    wanted = targets(stored.window, stored.target_events, stored.before.events, stored.before.eligible())
    for part, rows in slices(wanted).items():
        scored = scores.filter(pl.col("slice") == part)["user_id"]
        extra = _without(scored, rows["user_id"].unique())
        yield from _found(f"shopper scored in {part} who took nothing of the kind in the window", extra)


def compared_with_a_blind_champion(stored: Stored) -> Iterator[Finding]:
    """A champion of the evaluation that is of tonight or later."""
    evaluation = stored.made.get("evaluation")
    refs = {} if evaluation is None else evaluation.manifest["inputs"]["champion"]
    late = [
        str(ref)
        for ref in refs.values()
        if str(ref).count("/") == 2 and night_of_ref(str(ref)) >= str(stored.night)
    ]
    yield from _found("champion of this night or later", late)


def ranker_learned_blind(stored: Stored) -> Iterator[Finding]:
    """A ranker whose candidates came of text vectors that had learned from its labels."""
    ranker, encoder = stored.made.get("ranker"), stored.made.get("encoder")
    if ranker is None or encoder is None or not encoder.metrics.get("kept"):
        return
    seen = datetime.fromisoformat(encoder.metrics["trained_before"])
    early = [cut for cut in ranker.metrics.get("cuts", []) if datetime.fromisoformat(cut) < seen]
    wrong = [f"{ranker.ref} has a cut at {cut}, {encoder.ref} learned up to {seen}" for cut in early]
    yield from _found("ranker cut whose labels the encoder had learned from", wrong)


RULES: dict[str, Callable[[Stored], Iterable[Finding]]] = {
    rule.__name__: rule
    for rule in (
        cut_at_its_own_night,
        made_from_the_past,
        fitted_before_the_window,
        ranker_learned_blind,
        items_known_by_then,
        refit_ends_with_the_night,
        refit_makes_lists_only,
        lists_of_the_night,
        lists_in_a_stable_order,
        evaluated_on_its_window,
        compared_with_a_blind_champion,
    )
}


def audit(stored: Stored) -> dict[str, list[Finding]]:
    """What each rule found; a clean night has an empty list for every rule."""
    return {name: list(rule(stored)) for name, rule in RULES.items()}


def _as(night: Night, text: str) -> Night:
    """The night of that date, cut as ``night`` is."""
    return Night(date.fromisoformat(text), night.zone, night.gate_days)


def _own(stored: Stored, name: str) -> bool:
    """Whether the artefact is of the night itself: an earlier one was made for another catalogue."""
    return name in stored.made and stored.made[name].night == str(stored.night)


def _saw_until(artefact: Artefact) -> Iterator[datetime]:
    """Every instant that an artefact tells its learning to have reached: its manifest, its cuts, the towers' file."""
    manifest = artefact.manifest
    metrics: Mapping[str, Any] = manifest["metrics"]
    told = [manifest.get("recorded", {}).get("train_until"), *metrics.get("cuts", [])]
    if (artefact.path / FACTS).is_file():
        told.append(json.loads((artefact.path / FACTS).read_text(encoding="utf-8"))["until"])
    yield from (datetime.fromisoformat(at) for at in told if at is not None)


def _lists(stored: Stored) -> pl.DataFrame | None:
    lists = stored.made.get("lists")
    return None if lists is None else pl.read_parquet(lists.path / "lists.parquet").sort("user_id", "rank")


def _without(ids: pl.Series, *known: pl.Series) -> pl.Series:
    """The ids that are among none of the known ones, sorted."""
    for some in known:
        ids = ids.filter(~ids.is_in(some.implode()))
    return ids.sort()


def _found(rule: str, wrong: Iterable[str]) -> Iterator[Finding]:
    broken = list(wrong)
    if broken:
        yield Finding(rule, len(broken), broken[0])
