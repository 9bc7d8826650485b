import numpy as np
import pytest

from recsys_tasks.recommend import ladder
from recsys_tasks.recommend.ladder import best_window
from tests.recommend.shop import bought, catalogue, context, log

ITEMS = [f"i{number:03}" for number in range(300)]
STEADY, NOISE = ITEMS[:20], ITEMS[20:]


def shop(rows):
    return context(log(*rows), catalogue(*ITEMS))


def steady_shop():
    """Twenty items always sell; last week and the one before the judged days held other things only."""
    rng = np.random.default_rng(1)
    rows = [row for n in range(400) for row in bought(f"s{n}", STEADY[n % 20], 60.0 + n % 60)]
    rows += [row for n in range(60) for row in bought(f"n{n}", rng.choice(NOISE), 29.0 + n % 5)]
    return rows + [row for n in range(1200) for row in bought(f"j{n}", STEADY[n % 20], 8.0 + n % 15)]


def fashion_shop():
    """What sells changes every week or two, and goes on for a while."""
    rows = [row for n in range(600) for row in bought(f"o{n}", NOISE[n % 40], 90.0 + n % 80)]
    rows += [row for n in range(60) for row in bought(f"n{n}", STEADY[n % 20], 29.0 + n % 5)]
    return rows + [row for n in range(1200) for row in bought(f"j{n}", STEADY[n % 20], 1.0 + n % 20)]


def test_where_a_week_is_noise_a_longer_window_orders_the_ladder():
    asked = shop(steady_shop())
    assert best_window(asked.log, len(ITEMS)) == 90.0
    assert set(asked.items.gather(asked.ladder[:20])) == set(STEADY)


def test_where_the_newest_week_tells_most_it_orders_the_ladder():
    assert best_window(shop(fashion_shop()).log, len(ITEMS)) == 7.0


def test_a_quiet_shop_is_judged_on_more_days():
    rows = [row for n in range(50) for row in bought(f"s{n}", STEADY[n % 20], 1.0 + 4 * n)]
    assert ladder._judged_days(shop(rows).log) == ladder.JUDGED_DAYS[-1]
    assert ladder._judged_days(shop(steady_shop()).log) == ladder.JUDGED_DAYS[0]


def test_a_shop_without_events_has_a_ladder_too():
    asked = shop([])
    assert best_window(asked.log, len(ITEMS)) == ladder.WINDOWS[0]
    assert list(asked.ladder) == list(range(len(ITEMS)))


@pytest.mark.parametrize("rows", [steady_shop(), fashion_shop()])
def test_the_ladder_holds_every_allowed_item_once(rows):
    asked = context(log(*rows), catalogue(*ITEMS), blocked_items=ITEMS[:3])
    assert sorted(asked.ladder) == list(asked.allowed_places)
    assert len(asked.ladder) == len(ITEMS) - 3
