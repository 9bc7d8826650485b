"""Every candidate source keeps one contract."""

import numpy as np
import polars as pl
import pytest

from recsys_tasks.recommend.batch import Batch
from recsys_tasks.recommend.candidates import SOURCES, popular, repeat, retrieval
from recsys_tasks.recommend.pool import PROPOSE
from recsys_tasks.recommend.proposals import Proposals
from recsys_tasks.recommend.shoppers import Shoppers
from tests.recommend.shop import (
    bought,
    catalogue,
    context,
    lively,
    lively_items,
    lively_log,
    log,
    night_model,
    shoppers,
)

EVERYONE = [f"u{n:02}" for n in range(30)]
# Items that were launched in the last days, and those of them that somebody touched.
LAUNCHED = ("i90", "i91", "i92")


def a_shop(days_ago: float = 0, **rules):
    """The lively shop with three launches: dated, one of them untouched."""
    launches = log(*bought("u01", "i90", 3), *bought("u02", "i91", 5), *bought("u07", "i91", 2))
    items = lively_items(40)
    dated = [None] * 40 + [lively().snapshot.as_of] * 3
    more = catalogue(
        *items["item_id"],
        *LAUNCHED,
        category=[*items["category"], "c0", "c1", "c2"],
        available_from=_days(dated),
    )
    return context(pl.concat([lively_log(), launches]), more, days_ago, **rules)


def _days(dated):
    return [None if as_of is None else as_of.replace(day=1) for as_of in dated]


def seen_by_model(some: Shoppers) -> Batch:
    """The shoppers as a night model over the shop's catalogue sees them."""
    return Batch(some, night_model(some.context.snapshot.items).at(some.context).sight)


def propose(name: str, some: Shoppers, k: int, new_only: bool) -> Proposals:
    return PROPOSE[name](seen_by_model(some), k, new_only)


def test_every_source_has_its_place_and_no_place_is_empty():
    assert tuple(PROPOSE) == SOURCES


@pytest.mark.parametrize("name", SOURCES)
class TestContract:
    @pytest.mark.parametrize("new_only", [False, True])
    def test_proposes_each_item_once_and_at_most_k(self, name, new_only):
        rows = propose(name, shoppers(a_shop(), *EVERYONE), 2, new_only)
        assert len(np.unique(rows.shopper * 1000 + rows.item)) == len(rows)
        assert np.bincount(rows.shopper, minlength=1).max() <= 2
        assert len(rows) or (name == "repeat" and new_only)

    @pytest.mark.parametrize("new_only", [False, True])
    def test_orders_by_shopper_then_score_then_item(self, name, new_only):
        rows = propose(name, shoppers(a_shop(), *EVERYONE), 7, new_only)
        order = np.lexsort((rows.item, -rows.score, rows.shopper))
        assert order.tolist() == list(range(len(rows)))

    def test_fewer_are_the_first_of_more(self, name):
        some = shoppers(a_shop(), *EVERYONE)
        few, many = propose(name, some, 2, True), propose(name, some, 9, True)
        for shopper in range(len(EVERYONE)):
            mine = many.item[many.shopper == shopper]
            assert few.item[few.shopper == shopper].tolist() == mine[:2].tolist()

    def test_new_only_leaves_out_every_item_of_an_own_event(self, name):
        some = shoppers(a_shop(), *EVERYONE)
        rows = propose(name, some, 43, True)
        assert not some.is_seen(some.key(rows.shopper, rows.item)).any()

    def test_never_proposes_what_the_rules_refuse(self, name):
        some = shoppers(a_shop(blocked_categories=["c1"]), *EVERYONE)
        rows = propose(name, some, 43, False)
        assert some.context.allowed[rows.item].all()
        assert len(rows)

    def test_a_shopper_gets_the_same_alone_and_among_others(self, name):
        crowd, alone = shoppers(a_shop(), *EVERYONE), shoppers(a_shop(), "u07")
        for new_only in (False, True):
            theirs, own = propose(name, crowd, 7, new_only), propose(name, alone, 7, new_only)
            assert theirs.item[theirs.shopper == 7].tolist() == own.item.tolist()
            assert theirs.score[theirs.shopper == 7].tolist() == own.score.tolist()

    def test_time_is_counted_back_from_as_of(self, name):
        """The same shop a year ago, asked a year ago, proposes the same: no source reads a clock."""
        a_year_ago = lively_log().with_columns(pl.col("occurred_at") - pl.duration(days=365))
        now, then = lively(), context(a_year_ago, lively_items(), days_ago=365)
        one, other = (propose(name, shoppers(of, *EVERYONE), 7, False) for of in (now, then))
        assert one.item.tolist() == other.item.tolist()
        assert one.score.tolist() == pytest.approx(other.score.tolist(), abs=1e-6)

    def test_nobody_asked_is_nobody_answered(self, name):
        assert len(propose(name, shoppers(a_shop()), 7, False)) == 0

    def test_a_shop_without_events_is_no_error(self, name):
        some = shoppers(context(log(), lively_items()), "nobody")
        assert len(propose(name, some, 7, True)) == (7 if name in ("popular", "lasting") else 0)


class TestRetrieval:
    def exact(self, some):
        batch = seen_by_model(some)
        return batch, batch.users @ batch.sight.items.T

    def test_finds_what_a_plain_product_finds(self):
        batch, exact = self.exact(shoppers(lively(), "u03", "u04"))
        rows = retrieval.propose(batch, 5, False)
        for shopper in (0, 1):
            best = np.argsort(-exact[shopper], kind="stable")[:5]
            assert rows.item[rows.shopper == shopper].tolist() == best.tolist()

    def test_looks_deep_enough_to_give_k_new_items(self):
        some = shoppers(lively(), *EVERYONE)
        batch, exact = self.exact(some)
        exact += 0.5 * batch.sight.items[:, -1]
        shopper, item = some.split(some.seen)
        exact[shopper, item] = -np.inf
        rows = retrieval.propose(batch, 5, True)
        for shopper in range(len(EVERYONE)):
            best = np.argsort(-exact[shopper], kind="stable")[:5]
            assert rows.item[rows.shopper == shopper].tolist() == best.tolist()

    def test_has_nothing_for_a_shopper_without_history(self):
        assert len(propose("retrieval", shoppers(lively(), "nobody"), 5, False)) == 0


def test_repeat_prefers_what_was_bought_often_and_lately():

    events = log(*bought("ann", "tea", 1, 9, 17), *bought("ann", "cup", 2), *bought("ann", "mat", 300, 310))
    some = shoppers(context(events, catalogue("cup", "mat", "tea")), "ann")
    items = repeat.own(some, 3, False).item
    assert some.context.items.gather(items).to_list() == ["tea", "cup", "mat"]


def test_views_make_no_repeat_candidate_but_are_not_new():

    some = shoppers(context(log(("ann", "tea", "view", 1.0)), catalogue("cup", "tea")), "ann")
    assert len(repeat.own(some, 3, False)) == 0
    assert some.context.items.gather(popular.first(some, 3, True).item).to_list() == ["cup"]


def test_popular_counts_shoppers_not_purchases_and_climbs_down_the_ladder():

    events = log(
        *bought("ann", "tea", 1, 2, 3, 4),
        *bought("ann", "cup", 1),
        *bought("bob", "cup", 6),
        *bought("ann", "mat", 20),
        *bought("bob", "old", 200),
    )
    some = shoppers(context(events, catalogue("cup", "mat", "never", "old", "tea")), "cat")
    rows = popular.first(some, 9, False)
    assert some.context.items.gather(rows.item).to_list() == ["cup", "tea", "mat", "old", "never"]
    words = [some.context.popularity.reason(item) for item in rows.item]
    assert words == ["popular this week", *["bought before in this shop"] * 3, "new to explore"]


def test_equally_popular_items_stand_by_item_id():

    events = log(*bought("ann", "b", 1), *bought("ann", "a", 2), *bought("ann", "c", 3))
    some = shoppers(context(events, catalogue("a", "b", "c")), "cat")
    assert pl.Series(popular.first(some, 3, False).item).to_list() == [0, 1, 2]
