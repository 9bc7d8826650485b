"""Every candidate source keeps one contract."""

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from recsys_tasks.recommend.candidates import SOURCES, popular, repeat, retrieval
from recsys_tasks.recommend.proposals import Proposals
from recsys_tasks.recommend.shoppers import Shoppers
from tests.recommend.shop import bought, catalogue, context, lively, lively_items, log, night_model, shoppers

EVERYONE = [f"u{n:02}" for n in range(30)]


def by_towers(some: Shoppers, k: int, new_only: bool) -> Proposals:
    opened = night_model(lively_items()).at(some.context)
    return opened.retrieval.propose(some, opened.users(some), k, new_only)


class SourceContract:
    name: str
    propose: Callable[[Shoppers, int, bool], Proposals]

    def test_has_its_place_among_the_sources(self):
        assert self.name in SOURCES

    @pytest.mark.parametrize("new_only", [False, True])
    def test_proposes_each_item_once_and_at_most_k(self, new_only):
        rows = self.propose(shoppers(lively(), *EVERYONE), 7, new_only)
        assert len(np.unique(rows.shopper * 1000 + rows.item)) == len(rows)
        assert np.bincount(rows.shopper, minlength=1).max() <= 7

    def test_orders_by_shopper_then_score_then_item(self):
        rows = self.propose(shoppers(lively(), *EVERYONE), 7, False)
        order = np.lexsort((rows.item, -rows.score, rows.shopper))
        assert order.tolist() == list(range(len(rows)))

    def test_new_only_leaves_out_every_item_of_an_own_event(self):
        some = shoppers(lively(), *EVERYONE)
        rows = self.propose(some, 30, True)
        assert not some.is_seen(some.key(rows.shopper, rows.item)).any()

    def test_never_proposes_what_the_rules_refuse(self):
        some = shoppers(lively(blocked_categories=["c1"]), *EVERYONE)
        rows = self.propose(some, 40, False)
        assert some.context.allowed[rows.item].all()
        assert len(rows)

    def test_a_shopper_gets_the_same_alone_and_among_others(self):
        crowd, alone = shoppers(lively(), *EVERYONE), shoppers(lively(), "u07")
        for new_only in (False, True):
            theirs, own = self.propose(crowd, 7, new_only), self.propose(alone, 7, new_only)
            assert theirs.item[theirs.shopper == 7].tolist() == own.item.tolist()

    def test_nobody_asked_is_nobody_answered(self):
        assert len(self.propose(shoppers(lively()), 7, False)) == 0


class TestPopular(SourceContract):
    name = popular.NAME
    propose = staticmethod(popular.propose)


class TestRepeat(SourceContract):
    name = repeat.NAME
    propose = staticmethod(repeat.propose)


class TestRetrieval(SourceContract):
    name = retrieval.NAME
    propose = staticmethod(by_towers)

    def test_finds_what_a_plain_product_finds(self):
        some = shoppers(lively(), "u03", "u04")
        opened = night_model(lively_items()).at(some.context)
        users = opened.users(some)
        exact = users @ opened.items.T
        rows = self.propose(some, 5, False)
        for shopper in (0, 1):
            best = np.argsort(-exact[shopper], kind="stable")[:5]
            assert rows.item[rows.shopper == shopper].tolist() == best.tolist()

    def test_looks_deep_enough_to_give_k_new_items(self):
        some = shoppers(lively(), *EVERYONE)
        opened = night_model(lively_items()).at(some.context)
        exact = opened.users(some) @ opened.items.T
        shopper, item = some.split(some.seen)
        exact[shopper, item] = -np.inf
        rows = self.propose(some, 5, True)
        for shopper in range(len(EVERYONE)):
            best = np.argsort(-exact[shopper], kind="stable")[:5]
            assert rows.item[rows.shopper == shopper].tolist() == best.tolist()

    def test_has_nothing_for_a_shopper_without_history(self):
        assert len(self.propose(shoppers(lively(), "nobody"), 5, False)) == 0


def test_repeat_prefers_what_was_bought_often_and_lately():

    events = log(*bought("ann", "tea", 1, 9, 17), *bought("ann", "cup", 2), *bought("ann", "mat", 300, 310))
    some = shoppers(context(events, catalogue("cup", "mat", "tea")), "ann")
    items = repeat.propose(some, 3, False).item
    assert some.context.items.gather(items).to_list() == ["tea", "cup", "mat"]


def test_views_make_no_repeat_candidate_but_are_not_new():

    some = shoppers(context(log(("ann", "tea", "view", 1.0)), catalogue("cup", "tea")), "ann")
    assert len(repeat.propose(some, 3, False)) == 0
    assert some.context.items.gather(popular.propose(some, 3, True).item).to_list() == ["cup"]


def test_popular_counts_shoppers_not_purchases_and_climbs_down_the_ladder():

    events = log(
        *bought("ann", "tea", 1, 2, 3, 4),
        *bought("ann", "cup", 1),
        *bought("bob", "cup", 6),
        *bought("ann", "mat", 20),
        *bought("bob", "old", 200),
    )
    some = shoppers(context(events, catalogue("cup", "mat", "never", "old", "tea")), "cat")
    rows = popular.propose(some, 9, False)
    assert some.context.items.gather(rows.item).to_list() == ["cup", "tea", "mat", "old", "never"]
    words = [some.context.popularity.reason(item) for item in rows.item]
    assert words == ["popular this week", *["bought before in this shop"] * 3, "new to explore"]


def test_equally_popular_items_stand_by_item_id():

    events = log(*bought("ann", "b", 1), *bought("ann", "a", 2), *bought("ann", "c", 3))
    some = shoppers(context(events, catalogue("a", "b", "c")), "cat")
    assert pl.Series(popular.propose(some, 3, False).item).to_list() == [0, 1, 2]
