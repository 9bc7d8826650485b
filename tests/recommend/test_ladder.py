import numpy as np
import pytest

from recsys_tasks.recommend import ladder
from recsys_tasks.recommend.ladder import WINDOWS, Sales, foresight, judged_days, weights
from tests.recommend.shop import bought, catalogue, context, log

ITEMS = [f"i{number:03}" for number in range(300)]
STEADY, NOISE = ITEMS[:20], ITEMS[20:]
WEEK, MONTH, EVER = (WINDOWS.index(days) for days in (7.0, 28.0, float("inf")))


def shop(rows):
    return context(log(*rows), catalogue(*ITEMS))


def sales(rows):
    return Sales.of(shop(rows).log, len(ITEMS))


def steady_shop():
    """Twenty items always sell; last week and the one before the judged days held other things only."""
    rng = np.random.default_rng(1)
    rows = [row for n in range(400) for row in bought(f"s{n}", STEADY[n % 20], 60.0 + n % 60)]
    rows += [row for n in range(60) for row in bought(f"n{n}", rng.choice(NOISE), 29.0 + n % 5)]
    return rows + [row for n in range(1200) for row in bought(f"j{n}", STEADY[n % 20], 8.0 + n % 15)]


def fashion_shop():
    """What sells changes every few weeks, and goes on for a while."""
    rows = [row for n in range(600) for row in bought(f"o{n}", NOISE[n % 40], 90.0 + n % 80)]
    rows += [row for n in range(60) for row in bought(f"n{n}", STEADY[n % 20], 29.0 + n % 5)]
    return rows + [row for n in range(1200) for row in bought(f"j{n}", STEADY[n % 20], 1.0 + n % 20)]


def test_where_a_week_is_noise_longer_windows_order_the_ladder():
    asked, counts = shop(steady_shop()), weights(sales(steady_shop()))
    assert counts[WEEK] < 0.01
    assert counts[EVER] == 1.0
    assert set(asked.items.gather(asked.ladder[:20])) == set(STEADY)


def test_where_the_newest_week_tells_most_it_counts_most():
    counts = weights(sales(fashion_shop()))
    assert counts[WEEK] == 1.0
    assert counts[EVER] < 0.01


def test_buyers_a_day_count_a_shopper_once_a_window():
    rows = [
        *bought("ann", "i000", 1.0, 2.0, 20.0),
        *bought("bea", "i000", 10.0),
        *bought("cem", "i001", 40.0),
    ]
    rates = sales(rows).daily_buyers(0.0)
    assert rates[WEEK, 0] == pytest.approx(1 / 7)
    assert rates[MONTH, 0] == pytest.approx(2 / 28)
    assert rates[EVER, 0] == pytest.approx(2 / 40), "a window is no longer than the log"
    assert rates[:, 1].tolist() == pytest.approx([0, 0, 0, 1 / 40, 1 / 40, 1 / 40, 1 / 40, 1 / 40])


def test_buyers_a_day_as_of_earlier_do_not_see_what_came_later():
    rows = [*bought("ann", "i000", 5.0, 12.0), *bought("bea", "i001", 5.0), *bought("cem", "i002", 10.0)]
    rates = sales(rows).daily_buyers(10.0)
    assert rates[WEEK, :3].tolist() == pytest.approx([1 / 2, 0, 0]), "12 days ago lies behind 10, 10 does not"


def test_foresight_is_the_ndcg_of_each_windows_list():
    before = [*bought("ann", "i000", 30.0), *bought("bea", "i000", 31.0), *bought("cem", "i001", 45.0, 46.0)]
    after = [*bought("dan", "i000", 3.0), *bought("dan", "i002", 4.0), *bought("eve", "i001", 5.0)]
    found = foresight(sales(before + after), 0.0, 28.0)
    ideal, second = 1 + 1 / np.log2(3), 1 / np.log2(3)
    # A week before the judged days only i000 was taken; a month before them i000 by two, then i001 by one.
    assert found[WEEK] == pytest.approx((1 / ideal + 0) / 2)
    assert found[MONTH] == pytest.approx((1 / ideal + second) / 2)


def test_windows_are_judged_in_several_turns():
    """The last turn alone would choose the week; the two before it know better."""
    rows = [
        row
        for turn in (1, 2)
        for n in range(400)
        for row in bought(f"{turn}-{n}", STEADY[n % 9], 28.0 * turn + 8)
    ]
    rows += [row for n in range(400) for row in bought(f"y{n}", STEADY[n % 9], 120.0)]
    rows += [row for n in range(1200) for row in bought(f"z{n}", NOISE[n % 9], 1.0)]
    rows += [row for n in range(20) for row in bought(f"w{n}", NOISE[n % 9], 30.0)]
    last = foresight(sales(rows), 0.0, 28.0)
    assert last[WEEK] > last[EVER]
    counts = weights(sales(rows))
    assert counts[EVER] > counts[WEEK]


def test_a_quiet_shop_is_judged_on_more_days():
    rows = [row for n in range(50) for row in bought(f"s{n}", STEADY[n % 20], 1.0 + 4 * n)]
    assert judged_days(sales(rows)) == ladder.JUDGED_DAYS[-1]
    assert judged_days(sales(steady_shop())) == ladder.JUDGED_DAYS[0]


def test_a_shop_without_events_has_a_ladder_too():
    assert weights(sales([])).tolist() == [1.0] * len(WINDOWS)
    assert list(shop([]).ladder) == list(range(len(ITEMS)))


def test_a_shop_too_young_to_judge_counts_all_its_days():
    rows = [*bought("ann", "i002", 1.0), *bought("bea", "i001", 2.0), *bought("cem", "i001", 3.0)]
    assert weights(sales(rows)).tolist() == [1.0] * len(WINDOWS)
    assert list(shop(rows).ladder[:3]) == [1, 2, 0]


@pytest.mark.parametrize("rows", [steady_shop(), fashion_shop()])
def test_the_ladder_holds_every_allowed_item_once(rows):
    asked = context(log(*rows), catalogue(*ITEMS), blocked_items=ITEMS[:3])
    assert sorted(asked.ladder) == list(asked.allowed_places)
    assert len(asked.ladder) == len(ITEMS) - 3
