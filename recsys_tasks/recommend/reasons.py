"""Why a row stands in a list, in plain words."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys_tasks.recommend.candidates import SOURCES
from recsys_tasks.recommend.log import Floats, Ints
from recsys_tasks.recommend.model import Ranked
from recsys_tasks.recommend.shoppers import Shoppers, found

# What stands beside a row of a list.
Sentence = Callable[[int], str]


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
PICKED = "picked for you"
NEW = "new in the shop, and like what you choose"
SAME_KIND = "popular among the kinds of things you choose"
LIKE_YOU = "popular with shoppers like you"
# Newest items of the shopper that a suggestion is compared with.
COMPARED = 100


def reasons(ranked: Ranked, shoppers: Shoppers, likeness: Floats | None) -> list[str]:
    """One sentence a row."""
    sentences = {
        "repeat": _repeated(ranked, shoppers),
        "retrieval": _alike(ranked, shoppers, likeness),
        "neighbours": _together(ranked, shoppers),
        "new_items": _always(NEW),
        "category": _always(SAME_KIND),
        "segment": _always(LIKE_YOU),
    }
    popular = _popular(ranked, shoppers)
    return [sentences.get(SOURCES[source], popular)(row) for row, source in enumerate(ranked.source)]


def _always(words: str) -> Sentence:
    return lambda row: words


def _popular(ranked: Ranked, shoppers: Shoppers) -> Sentence:
    popularity, happened = shoppers.context.popularity, _common_verb(shoppers).happened
    return lambda row: popularity.reason(int(ranked.rows.item[row]), happened)


def _alike(ranked: Ranked, shoppers: Shoppers, likeness: Floats | None) -> Sentence:
    because, titles = _nearest(ranked, shoppers, likeness), _titles(shoppers)

    def sentence(row: int) -> str:
        event = int(because[row])
        return f"because you {_did(shoppers, event, titles)}" if event >= 0 else PICKED

    return sentence


def _together(ranked: Ranked, shoppers: Shoppers) -> Sentence:
    """Names the item of the history that speaks most for the suggested one."""
    strongest, titles = _strongest(ranked, shoppers), _titles(shoppers)
    happened = _common_verb(shoppers).happened

    def sentence(row: int) -> str:
        event = int(strongest[row])
        return f"often {happened} by shoppers who {_did(shoppers, event, titles)}" if event >= 0 else PICKED

    return sentence


def _repeated(ranked: Ranked, shoppers: Shoppers) -> Sentence:
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
    for asked, mine in _suggested(ranked, shoppers, "retrieval"):
        like = likeness[ranked.rows.item[asked]] @ likeness[shoppers.context.log.item[mine]].T
        # Rounded, and the newest of equals: copies of one text must not swap places between two runs.
        nearest[asked] = mine[::-1][np.argmax(np.round(like[:, ::-1], 4), axis=1)]
    return nearest


def _strongest(ranked: Ranked, shoppers: Shoppers) -> Ints:
    """For each row the row of the log whose item speaks most for it among the shopper's newest; -1: none does."""
    strongest = np.full(len(ranked.rows), -1, np.int64)
    context = shoppers.context
    for asked, mine in _suggested(ranked, shoppers, "neighbours"):
        mine = mine[context.neighbour_column[context.log.item[mine]] >= 0]
        if not len(mine):
            continue
        own = context.neighbour_column[context.log.item[mine]]
        columns = context.neighbour_column[ranked.rows.item[asked]]
        weight = np.round(context.neighbours.weights[np.ix_(own, columns)].T, 5)[:, ::-1]
        strongest[asked] = np.where(weight.max(axis=1) > 0, mine[::-1][np.argmax(weight, axis=1)], -1)
    return strongest


def _suggested(ranked: Ranked, shoppers: Shoppers, source: str) -> Iterator[tuple[Ints, Ints]]:
    """For each shopper with rows of the source: those rows, and the newest telling rows of the log, oldest first."""
    places, rows = _telling(shoppers)
    bounds = np.searchsorted(places, np.arange(len(shoppers.ids) + 1))
    suggested = np.flatnonzero(ranked.source == SOURCES.index(source))
    shopper = ranked.rows.shopper[suggested]
    starts = np.searchsorted(shopper, np.arange(len(shoppers.ids) + 1))
    for one in np.unique(shopper):
        mine = rows[bounds[one] : bounds[one + 1]][-COMPARED:]
        if len(mine):
            yield suggested[starts[one] : starts[one + 1]], mine


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


def _did(shoppers: Shoppers, event: int, titles: pl.Series) -> str:
    log = shoppers.context.log
    return VERBS[log.event_type[event]].done.format(titles[int(log.item[event])])
