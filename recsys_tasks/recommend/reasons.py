"""Why a row stands in a list, in plain words."""

from collections.abc import Callable

import numpy as np
import polars as pl

from recsys_tasks.recommend.candidates import SOURCES
from recsys_tasks.recommend.log import Floats, Ints
from recsys_tasks.recommend.model import Ranked
from recsys_tasks.recommend.shoppers import Shoppers, found

# What the shopper did with the item that is given as the reason.
DONE = {"purchase": "bought", "cart": "put {} in the basket", "view": "looked at", "rating": "rated"}
TITLE_CHARS = 80
# The same of an item that stands in a list again, and the habit: what the shop's target events are called.
AGAIN = {"purchase": ("bought", "buy this"), "played": ("played", "play this")}
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
            words.append(popularity.reason(item))
    return words


def _repeated(ranked: Ranked, shoppers: Shoppers) -> Callable[[int], str]:
    own = shoppers.own
    places, is_own = found(own.key, shoppers.key(ranked.rows.shopper, ranked.rows.item))
    done, habit = AGAIN.get(shoppers.context.target_events[0], ("chose", "come back to this"))

    def sentence(row: int) -> str:
        if not is_own[row]:
            return "you know this"
        place = places[row]
        days = int(own.days[place])
        gap = float(own.cadence[place])
        if days >= CADENCE_DAYS and own.last[place] <= LAPSED_GAPS * max(gap, 1.0):
            return (
                f"you {habit} about every {round(gap)} days"
                if round(gap) > 1
                else f"you {habit} about every day"
            )
        return f"you {done} this on {days} days" if days > 1 else f"you {done} this before"

    return sentence


def _nearest(ranked: Ranked, shoppers: Shoppers, likeness: Floats | None) -> Ints:
    """For each row the row of the log whose item is most like it, among the shopper's newest; -1: none."""
    nearest = np.full(len(ranked.rows), -1, np.int64)
    if likeness is None:
        return nearest
    places, rows = shoppers.rows
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


def _titles(shoppers: Shoppers) -> pl.Series:
    items = shoppers.context.snapshot.items
    title = items["title"].str.strip_chars().replace("", None)
    return title.fill_null(items["category"]).fill_null(items["item_id"]).str.slice(0, TITLE_CHARS)


def _because(shoppers: Shoppers, event: int, titles: pl.Series) -> str:
    log = shoppers.context.log
    done = DONE.get(log.event_type[event], "chose")
    title = titles[int(log.item[event])]
    return f"because you {done.format(title)}" if "{}" in done else f"because you {done} {title}"
