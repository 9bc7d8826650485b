"""The first reason why lists must not go live, and how to go on."""

from collections.abc import Iterator

import polars as pl

from recsys_tasks.settings import StoreSettings
from recsys_tasks.store.figures import Figures
from recsys_tasks.store.tables import Generation
from recsys_tasks.workspace import fingerprint_of

MADE_WRONG = "look at the log of recommend, then run the night again from there"
FROM_CATALOGUE = "run the night again from build_pairs"

# The settings that ``fault`` asks; those of ``drift`` are asked again whenever lists would go live.
LIMITS = ("max_duplicates", "max_unknown", "max_unavailable", "max_short")

# Where the audit's facts keep what the lists were held against.
MEASURE = "measure"


def measure_of(settings: StoreSettings, known: pl.Series | None, offered: pl.Series | None) -> str:
    """A hash of all that ``fault`` holds lists against: the catalogue, what of it may be shown, and the limits."""
    ids = [None if items is None else items.sort().to_list() for items in (known, offered)]
    return fingerprint_of({"items": ids, "limits": {name: getattr(settings, name) for name in LIMITS}})


def fault(figures: Figures, settings: StoreSettings) -> str | None:
    """What is wrong with the lists themselves; none where they are fit to be read."""
    if figures.rows == 0:
        return f"there are no lists; {MADE_WRONG}"
    if figures.misranked:
        return f"{figures.misranked} rows break the order of ranks 1, 2, 3, ... within a list; {MADE_WRONG}"
    return next(_faulty_rows(figures, settings), None) or _too_short(figures, settings)


def _faulty_rows(figures: Figures, settings: StoreSettings) -> Iterator[str]:
    for name, limit, what, then in (
        ("duplicates", settings.max_duplicates, "repeat an item within a list", MADE_WRONG),
        (
            "unknown",
            settings.max_unknown,
            "hold an item that the catalogue of the night does not",
            FROM_CATALOGUE,
        ),
        (
            "unavailable",
            settings.max_unavailable,
            "hold an item that is blocked or not available",
            "run the night again from recommend where rules changed since, from build_pairs where the catalogue did",
        ),
    ):
        count = getattr(figures, name)
        if count > limit * figures.rows:
            yield f"{count} rows {what}; {then}, or raise store.max_{name} (now {limit})"


def _too_short(figures: Figures, settings: StoreSettings) -> str | None:
    if figures.short <= settings.max_short * figures.users:
        return None
    return (
        f"{figures.short} of {figures.users} lists are shorter than top_k; loosen the rules, ask for a smaller "
        f"top_k, or raise store.max_short (now {settings.max_short}), then publish again"
    )


def drift(new: Generation, live: Generation | None, settings: StoreSettings) -> str | None:
    """Why lists that are fit to be read are too far from what is live; an older night may be as far as it likes."""
    if live is None or live.night > new.night:
        return None
    found = _shrinkage(new, live, settings) or _lost_histories(new, live, settings)
    if found is None and _same_kind(new, live):
        found = next(_changes(new, live, settings), None)
    return found


def _same_kind(new: Generation, live: Generation) -> bool:
    """
    Whether both were made of the same parts.

    From popular lists to a model's everything changes; that is how a shop begins.
    """
    return set(new.model_refs or ()) == set(live.model_refs or ())


def _shrinkage(new: Generation, live: Generation, settings: StoreSettings) -> str | None:
    # Another list length changes the rows of a healthy night; then shoppers are what can be compared.
    what, now, before = "rows", new.rows, live.rows
    if new.top_k != live.top_k:
        what, now, before = "lists", new.users, live.users
    if now >= before * (1 - settings.max_shrink):
        return None
    return (
        f"{now} {what} against {before} of the live generation; look at what the night read, or, where the shop did "
        f"shrink, raise store.max_shrink (now {settings.max_shrink}) and publish again"
    )


def _lost_histories(new: Generation, live: Generation, settings: StoreSettings) -> str | None:
    # Popular lists are fallback lists: whoever comes from them can only fall, and a model that is lost is seen here.
    before, now = live.fallback_share, new.fallback_share
    if before is None or now is None or now <= before + settings.max_fallback_rise:
        return None
    return f"{now:.1%} of the lists are fallback lists, {before:.1%} before; {_unless('max_fallback_rise', settings)}"


def _unless(name: str, settings: StoreSettings) -> str:
    return f"look at the night's report, or, where it is meant, raise store.{name} (now {getattr(settings, name)})"


def _changes(new: Generation, live: Generation, settings: StoreSettings) -> Iterator[str]:
    churn = new.audit.get("churn") if new.audit.get("against") == live.id else None
    if churn is not None and churn > settings.max_churn:
        yield f"{churn:.1%} of a shopper's items are not those of the live list; {_unless('max_churn', settings)}"
    before, now = live.audit.get("coverage"), new.audit.get("coverage")
    # Shorter lists show less, and that is meant.
    if (
        new.top_k == live.top_k
        and before
        and now is not None
        and now < before * (1 - settings.max_coverage_drop)
    ):
        yield f"lists show {now:.2%} of the catalogue, {before:.2%} before; {_unless('max_coverage_drop', settings)}"
