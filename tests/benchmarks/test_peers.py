"""The contract that every peer keeps, whatever it learns from."""

import polars as pl
import pytest

from benchmarks.environments import has_peers
from benchmarks.peers.base import LISTS, Log
from benchmarks.peers.registry import PEERS
from tests.benchmarks.peer_logs import ordered, timed

OF_THE_WORKER = ("als", "bpr", "sasrec", "esasrec")
LOGS = {"times": timed, "order": ordered}
needs_bench = pytest.mark.skipif(not has_peers(), reason="needs the environment of `make bench`")
NAMES = [
    pytest.param(name, marks=[needs_bench, pytest.mark.slow] if name in OF_THE_WORKER else [])
    for name in PEERS
]


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module", params=LOGS)
def log(request):
    return LOGS[request.param]()


@pytest.fixture(scope="module")
def fitted(name, log):
    return fit(name, log)


def fit(name, log):
    peer = PEERS[name]()
    if name in ("sasrec", "esasrec"):
        peer.ROUNDS, peer.DROPOUTS, peer.COMMON = 2, (0.2,), {**peer.COMMON, "factors": 16}
    peer.fit(log)
    return peer


@pytest.fixture(scope="module")
def users(log):
    """Those of the log and one it has never met, in an order of their own."""
    return pl.concat([log.users.unique().sort(descending=True), pl.Series(["nobody"])])


@pytest.mark.parametrize("new_only", [True, False])
def test_each_user_asked_for_has_k_ranks_in_order(fitted, users, new_only):
    lists = fitted.top(users, 7, new_only)
    assert lists.schema == LISTS
    assert lists["user_id"].to_list() == [user for user in users for _ in range(7)]
    assert lists["rank"].to_list() == list(range(1, 8)) * len(users)


@pytest.mark.parametrize("new_only", [True, False])
def test_only_offered_items_and_none_twice(fitted, log, users, new_only):
    lists = fitted.top(users, 20, new_only)
    assert lists["item_id"].is_in(log.items_offered.implode()).all()
    assert not lists.select("user_id", "item_id").is_duplicated().any()


def test_a_list_of_new_items_holds_nothing_that_the_user_has_seen(fitted, log, users):
    lists = fitted.top(users, 30, True)
    seen = pl.DataFrame({"user_id": log.users, "item_id": log.items})
    assert lists.join(seen, on=["user_id", "item_id"]).is_empty()


def test_a_list_of_all_items_may_hold_what_was_seen(fitted, log, users):
    seen = pl.DataFrame({"user_id": log.users, "item_id": log.items})
    assert not fitted.top(users, 30, False).join(seen, on=["user_id", "item_id"]).is_empty()


def test_scores_do_not_rise_along_a_list_and_the_fill_has_none(fitted, users):
    lists = fitted.top(users, 30, True)
    step = lists.select(
        pl.col("score").diff().over("user_id"), after_fill=pl.col("score").shift().over("user_id").is_null()
    )
    assert (step["score"].drop_nulls() <= 0).all()
    known = lists.filter(pl.col("score").is_null() & (pl.col("rank") > 1))
    assert lists.filter(pl.col("user_id") == "nobody")["score"].is_null().all()
    assert known["user_id"].is_in(users.implode()).all()


def test_a_user_nobody_knows_is_shown_what_sells(fitted, log):
    first = fitted.top(pl.Series(["nobody"]), 1, True)["item_id"][0]
    popular = PEERS["popular"]()
    popular.fit(log)
    recent = log.items if log.times is None else log.items.filter(log.times >= log.cut - 28 * 86_400_000_000)
    users = log.users if log.times is None else log.users.filter(log.times >= log.cut - 28 * 86_400_000_000)
    count = (
        pl.DataFrame({"item": recent, "user": users})
        .unique()
        .group_by("item")
        .len()
        .sort("len", descending=True)
    )
    offered = count.filter(pl.col("item").is_in(log.items_offered.implode()))
    assert first in offered.filter(pl.col("len") == offered["len"].max())["item"].to_list()


def test_a_list_longer_than_the_offer_ends_with_it(fitted, log):
    assert len(fitted.top(log.users.head(1), 1_000, False)) == len(log.items_offered)


def test_no_users_no_lists(fitted):
    lists = fitted.top(pl.Series([], dtype=pl.String), 5, True)
    assert lists.schema == LISTS
    assert lists.is_empty()


def test_the_same_log_gives_the_same_lists(name, log, fitted, users):
    again = fit(name, log)
    for new_only in (True, False):
        assert again.top(users, 20, new_only).equals(fitted.top(users, 20, new_only))
    assert again.chosen == fitted.chosen


def test_its_name_is_the_one_it_is_listed_under(name, fitted):
    assert fitted.name == name


def test_tastes_are_learnt(name, fitted, log, users):
    """Shoppers of one group are shown more of their group than a quarter, which chance and popularity give."""
    if name.startswith("popular"):
        pytest.skip("the same list for all")
    if name in ("sasrec", "esasrec"):
        pytest.skip("two epochs of a small model teach no tastes")
    lists = fitted.top(log.users.unique().sort(), 5, False).filter(pl.col("item_id") < "i900")
    number = {kind: pl.col(kind).str.slice(1).cast(pl.Int64) for kind in ("user_id", "item_id")}
    own = lists.select((number["user_id"] % 4) == (number["item_id"] // 10)).to_series().mean()
    assert own > 0.5


def with_readers(log: Log) -> Log:
    """Behind the log: a twin of a shopper, and somebody who took all of the second group of items; both only read."""
    twin = log.items.filter(log.users == "u000")
    group = pl.Series([f"i{place:03d}" for place in range(10, 16)])
    names = ["twin"] * len(twin) + ["reader"] * len(group)
    times = None if log.times is None else pl.concat([log.times, pl.Series([log.cut - 1] * len(names))])
    return Log(
        pl.concat([log.users, pl.Series(names)]),
        pl.concat([log.items, twin, group]),
        log.items_offered,
        times,
        as_of=log.as_of,
        read_only=pl.Series([False] * len(log) + [True] * len(names)),
    )


def test_who_is_only_read_changes_nobodys_list_and_is_answered_by_what_others_taught(name, fitted, log):
    if name == "bpr":
        assert not fitted.reads
        return
    assert fitted.reads
    read, users = fit(name, with_readers(log)), log.users.unique().sort()
    # Random starts depend on the number of users, and so does the sample that measures a spread.
    tolerant = name in (*OF_THE_WORKER, "ease+popularity")
    for new_only in (True, False):
        before, after = fitted.top(users, 5, new_only), read.top(users, 5, new_only)
        same = (before["item_id"] == after["item_id"]).mean()
        assert same == 1 or (tolerant and same > 0.9)
    if name.startswith("popular") or name == "ease+popularity":
        return
    liked = read.top(pl.Series(["reader"]), 4, True)["item_id"].str.slice(1).cast(pl.Int64)
    assert liked.is_between(10, 19).sum() >= 3


def test_a_twin_of_a_shopper_gets_the_shoppers_list():
    log = with_readers(ordered())
    for name in ("item-knn", "ease"):
        peer = fit(name, log)
        lists = peer.top(pl.Series(["u000", "twin"]), 10, True)
        assert lists["item_id"][:10].to_list() == lists["item_id"][10:].to_list()
