import pytest

from recsys_tasks.evaluate.gate import CHALLENGER, CHAMPION, POPULAR, decide


def evaluation(popular, champion=None, users=500, name="all"):
    """Tables whose rows are ``popular`` and ``champion``: (difference, low, high) the challenger is ahead by."""
    rows = [
        {"system": CHALLENGER, "users": users},
        {"system": POPULAR, "users": users, "ahead_ndcg@10": popular},
    ]
    if champion is not None:
        rows.append({"system": CHAMPION, "users": users, "ahead_ndcg@10": champion})
    hopeless = [
        {"system": CHALLENGER, "users": 9},
        {"system": POPULAR, "users": 9, "ahead_ndcg@10": [-1, -1, -1]},
    ]
    return {name: rows, ("new" if name == "all" else "all"): hopeless}


BETTER, UNSURE, WORSE = (0.1, 0.05, 0.15), (0.01, -0.02, 0.04), (-0.1, -0.15, -0.05)


@pytest.mark.parametrize(
    ("case", "popular", "champion", "accepted"),
    [
        ("first night, better", BETTER, None, True),
        ("first night, unsure", UNSURE, None, False),
        ("first night, equal", (0.0, 0.0, 0.0), None, False),
        ("better than both", BETTER, BETTER, True),
        ("a little below the champion, within the tolerance", BETTER, (0.0, -0.004, 0.004), True),
        ("just as good as the tolerance allows", BETTER, (0.0, -0.005, 0.005), False),
        ("worse than the champion", BETTER, WORSE, False),
        ("better than a champion that popularity beats", WORSE, BETTER, False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_accepted_only_when_better_than_popular_and_not_worse_than_the_champion(
    case, popular, champion, accepted
):
    assert decide(evaluation(popular, champion), repeats_allowed=True, tolerance=0.005).accepted == accepted


def test_a_shop_without_repeats_is_judged_on_new_items():
    decision = decide(evaluation(BETTER, name="new"), repeats_allowed=False, tolerance=0.005)
    assert decision.accepted
    assert decision.slice == "new"


def test_nobody_to_judge_by_is_a_refusal_that_says_so():
    decision = decide(evaluation(BETTER, users=0), repeats_allowed=True, tolerance=0.005)
    assert not decision.accepted
    assert "nobody took an item" in decision.why


def test_why_names_the_rivals_and_the_figures():
    accepted = decide(evaluation(BETTER), repeats_allowed=True, tolerance=0.005).why
    assert "accepted on NDCG@10 (all) of 500 shoppers" in accepted
    assert "clears popular 7 days by +0.1000 [+0.0500, +0.1500]" in accepted
    assert "popularity of 7 days is the champion" in accepted
    refused = decide(evaluation(BETTER, WORSE), repeats_allowed=True, tolerance=0.005).why
    assert "misses champion by -0.1000 [-0.1500, -0.0500], lower end must be above -0.005" in refused
