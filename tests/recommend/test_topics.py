import numpy as np

from recsys_tasks.recommend import segments
from recsys_tasks.recommend.segments import Segments
from recsys_tasks.recommend.topics import TOPICS, topics_of
from tests.recommend.shop import bought, catalogue, context, lively, log, shoppers


def texts(n=200, seed=1):
    """Six themes, a text each near one of them."""
    rng = np.random.default_rng(seed)
    themes, theme = rng.normal(size=(6, 40)), rng.integers(6, size=n)
    rows = themes[theme] + 0.1 * rng.normal(size=(n, 40))
    return theme, (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_texts_of_one_theme_mostly_share_a_topic_and_others_do_not():
    theme, rows = texts()
    topics = topics_of(rows)
    assert topics.min() >= 0
    assert topics.max() < TOPICS
    same = theme[:, None] == theme[None]
    shared = topics[:, None] == topics[None]
    assert shared[same].mean() > 2.5 * shared[~same].mean()


def test_equal_texts_have_one_topic_and_the_order_of_items_is_no_matter():
    _, rows = texts()
    assert topics_of(np.vstack([rows, rows])).tolist() == np.tile(topics_of(rows), 2).tolist()
    assert topics_of(rows[::-1]).tolist() == topics_of(rows)[::-1].tolist()


def test_a_catalogue_of_one_text_or_none_is_no_error():
    assert topics_of(np.zeros((0, 8), np.float32)).tolist() == []
    assert len(topics_of(np.ones((3, 8), np.float32))) == 3


def segments_of(*events, **rules):
    of = context(log(*events), catalogue("cup", "mat", "tea"), **rules)
    return of, Segments.build(of, np.array([0, 1, 2]))


def test_a_segment_is_the_topic_of_most_decayed_events():
    events = (*bought("ann", "cup", 300, 301, 302), *bought("ann", "tea", 1, 2), *bought("bob", "cup", 5))
    of, made = segments_of(*events, ("cat", "tea", "impression", 1.0))
    assert made.of(shoppers(of, "ann", "bob", "cat", "stranger")).tolist() == [2, 0, -1, -1]


def test_a_segment_knows_what_its_shoppers_took_lately():
    events = (
        *bought("ann", "tea", 1, 2, 3, 4), *bought("ann", "mat", 1, 2), *bought("bob", "tea", 5, 6),
        *bought("bob", "mat", 7),
        *bought("cat", "tea", 6, 7), *bought("dan", "cup", 1), *bought("ann", "cup", 200),
    )  # fmt: skip
    of, made = segments_of(*events)
    tea = slice(made.start[2], made.start[3])
    assert of.items.gather(made.items[tea]).to_list() == ["tea", "mat"]
    assert len(made.start) == TOPICS + 1
    of, made = segments_of(*events, blocked_items=["tea"])
    assert of.items.gather(made.items).to_list() == ["cup", "mat"]


def test_a_lively_shop_has_no_shopper_outside_a_segment():
    of = lively()
    made = Segments.build(of, np.arange(len(of.items)) % 3)
    assert (made.segment >= 0).all()


def test_a_shopper_s_segment_does_not_depend_on_the_block_that_the_shopper_is_in(monkeypatch):
    of = lively()
    topic = np.arange(len(of.items)) % 3
    whole = Segments.build(of, topic)
    assert len(of.log.users) > 8
    monkeypatch.setattr(segments, "USERS_AT_ONCE", 4)
    parts = Segments.build(of, topic)
    for name in ("segment", "start", "items"):
        assert np.array_equal(getattr(parts, name), getattr(whole, name))
    assert len(np.unique(whole.segment)) == 3
