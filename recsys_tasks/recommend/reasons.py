"""Why a row stands in a list, in plain words."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys_tasks.recommend.candidates import SOURCES
from recsys_tasks.recommend.log import Floats, Ints
from recsys_tasks.recommend.model import Ranked
from recsys_tasks.recommend.shoppers import Shoppers, found


@dataclass(frozen=True)
class Verb:
    """How an event type reads: what was done with {}, what is done as a habit, and what happened to an item."""

    done: str
    habit: str
    happened: str


VERBS = {
    "purchase": Verb("bought {}", "buy {}", "bought"),
    "played": Verb("played {}", "play {}", "played"),
    "cart": Verb("put {} in the basket", "put {} in the basket", "put in the basket"),
    "view": Verb("looked at {}", "look at {}", "looked at"),
    "rating": Verb("rated {}", "rate {}", "rated"),
}
# Of an event type without words of its own, or of several together: true of all.
NEUTRAL = Verb("chose {}", "come back to {}", "chosen")
TITLE_CHARS = 80
# A cadence needs this many purchase days before it is called one, and is none any more after so many times its gap.
CADENCE_DAYS = 3
LAPSED_GAPS = 3
# Newest items of the shopper that a suggestion is compared with.
COMPARED = 100


def reasons(ranked: Ranked, shoppers: Shoppers, likeness: Floats | None) -> list[str]:
    """One sentence a row."""
    because = _nearest(ranked, shoppers, likeness)
    repeated = _repeated(ranked, shoppers)
    popularity = shoppers.context.popularity
    happened = _common_verb(shoppers).happened
    titles = _titles(shoppers)
    words = []
    for row, source in enumerate(ranked.source):
        item = int(ranked.rows.item[row])
        if SOURCES[source] == "repeat":
            words.append(repeated(row))
        elif SOURCES[source] == "retrieval" and because[row] >= 0:
            words.append(_because(shoppers, int(because[row]), titles))
        elif SOURCES[source] == "retrieval":
            words.append("picked for you")
        else:
            words.append(popularity.reason(item, happened))
    return words


def _repeated(ranked: Ranked, shoppers: Shoppers) -> Callable[[int], str]:
    own, verb_of = shoppers.own, _own_verbs(shoppers)
    places, is_own = found(own.key, shoppers.key(ranked.rows.shopper, ranked.rows.item))

    def sentence(row: int) -> str:
        if not is_own[row]:
            return "you know this"
        place = places[row]
        verb = verb_of(int(place))
        days = int(own.days[place])
        gap = float(own.cadence[place])
        if days >= CADENCE_DAYS and own.last[place] <= LAPSED_GAPS * max(gap, 1.0):
            every = f"{round(gap)} days" if round(gap) > 1 else "day"
            return f"you {verb.habit.format('this')} about every {every}"
        done = verb.done.format("this")
        return f"you {done} on {days} days" if days > 1 else f"you {done} before"

    return sentence


def _common_verb(shoppers: Shoppers) -> Verb:
    """What holds of every target event of the shop."""
    targets = shoppers.context.target_events
    return VERBS.get(targets[0], NEUTRAL) if len(targets) == 1 else NEUTRAL


def _own_verbs(shoppers: Shoppers) -> Callable[[int], Verb]:
    """The verb of each row of the shoppers' own purchases: by the event types that stand behind the row."""
    if len(shoppers.context.target_events) == 1:
        verb = _common_verb(shoppers)
        return lambda place: verb
    log = shoppers.context.log
    places, rows = shoppers.rows
    places, rows = places[log.is_target[rows]], rows[log.is_target[rows]]
    types = (
        pl.DataFrame({"key": shoppers.key(places, log.item[rows]), "type": log.event_type.gather(rows)})
        .group_by("key")
        .agg(first=pl.col("type").min(), last=pl.col("type").max())
        .sort("key")
    )
    # The rows of ``own`` stand by the same keys in the same order.
    return lambda place: _one_verb(types["first"][place], types["last"][place])


def _one_verb(first: str, last: str) -> Verb:
    return VERBS.get(first, NEUTRAL) if first == last else NEUTRAL


def _nearest(ranked: Ranked, shoppers: Shoppers, likeness: Floats | None) -> Ints:
    """
    For each row the row of the log whose item is most like it, among the shopper's newest; -1: none.

    Only events that say something for their item, and that there are words for, can be a reason.
    """
    nearest = np.full(len(ranked.rows), -1, np.int64)
    if likeness is None:
        return nearest
    places, rows = _telling(shoppers)
    bounds = np.searchsorted(places, np.arange(len(shoppers.ids) + 1))
    suggested = np.flatnonzero(ranked.source == SOURCES.index("retrieval"))
    for shopper in np.unique(ranked.rows.shopper[suggested]):
        mine = rows[bounds[shopper] : bounds[shopper + 1]][-COMPARED:]
        if not len(mine):
            continue
        asked = suggested[ranked.rows.shopper[suggested] == shopper]
        like = likeness[ranked.rows.item[asked]] @ likeness[shoppers.context.log.item[mine]].T
        # Rounded, and the newest of equals: copies of one text must not swap places between two runs.
        nearest[asked] = mine[::-1][np.argmax(np.round(like[:, ::-1], 4), axis=1)]
    return nearest


def _telling(shoppers: Shoppers) -> tuple[Ints, Ints]:
    """``shoppers.rows`` without impressions, removals and the like."""
    log = shoppers.context.log
    places, rows = shoppers.rows
    tells = (log.weight[rows] > 0) & log.event_type.gather(rows).is_in(list(VERBS)).to_numpy()
    return places[tells], rows[tells]


def _titles(shoppers: Shoppers) -> pl.Series:
    items = shoppers.context.snapshot.items
    title = items["title"].str.strip_chars().replace("", None)
    return title.fill_null(items["category"]).fill_null(items["item_id"]).str.slice(0, TITLE_CHARS)


def _because(shoppers: Shoppers, event: int, titles: pl.Series) -> str:
    log = shoppers.context.log
    title = titles[int(log.item[event])]
    return f"because you {VERBS[log.event_type[event]].done.format(title)}"
