from dataclasses import replace

import numpy as np
import pytest
import torch

from recsys_tasks.errors import EmptyPartition, TrainingFailed
from recsys_tasks.model.sequence_model import SequenceModel, first_of
from recsys_tasks.model.sequence_net import SequenceNet
from recsys_tasks.model.sequence_settings import SequenceSettings
from recsys_tasks.model.sequences import Floats, Sequences
from recsys_tasks.training.sequence_fit import SequenceFit
from recsys_tasks.training.sequences import Choice, Validation, choose, fit

ITEMS = 40
SMALL = SequenceSettings(dim=16, max_looks=3, learning_rate=1e-2, warm_up_steps=10)


def next_of(item: int) -> int:
    """The planted rule: most shoppers go on to this item."""
    return (item * 7 + 3) % ITEMS


def walks(n: int = 300, length: int = 8, obedience: float = 0.8, seed: int = 0) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        walk = [int(rng.integers(ITEMS))]
        while len(walk) < length:
            obeys = rng.random() < obedience
            walk.append(next_of(walk[-1]) if obeys else int(rng.integers(ITEMS)))
        found.append(walk)
    return found


def validation_of(some: list[list[int]], *, new_only: bool = False) -> Validation:
    targets = np.array([walk[-1] for walk in some])
    return Validation(Sequences.of(walk[:-1] for walk in some), targets, new_only)


def no_text() -> Floats:
    return np.zeros((ITEMS, 4), np.float32)


@pytest.mark.parametrize("user", ["mean", "transformer"])
def test_a_planted_chain_is_learned_far_better_than_popularity(user):
    learned, held = walks(seed=0), validation_of(walks(100, seed=1))
    settings = SMALL.model_copy(update={"user": user})
    sequences = Sequences.of(learned)
    _, model = choose(sequences, held, no_text(), [settings])
    counts = sequences.counts(ITEMS).astype(np.float32)
    popular = held.ndcg(lambda histories: np.tile(counts, (len(histories), 1)))
    towers = replace(model, weights=(0.0, 0.0))
    assert held.ndcg(towers.scores) > 0.5 > 2 * popular


def test_two_fits_with_one_seed_give_the_same_bytes_and_another_seed_does_not():
    sequences = Sequences.of(walks(60))
    choice = Choice([2], (1.0, 0.5), 0.0)

    def scores(seed: int) -> Floats:
        settings = SMALL.model_copy(update={"seed": seed})
        return fit(sequences, no_text(), [settings], choice).scores(sequences.last(3))

    assert scores(1).tobytes() == scores(1).tobytes()
    assert scores(1).tobytes() != scores(2).tobytes()


def test_a_loss_that_is_no_number_stops_before_the_step(monkeypatch):
    learning = SequenceFit(Sequences.of(walks(300)), no_text(), SMALL)
    whole, before = learning._loss, []

    def lost_at_the_third(rows):
        before.append(learning.net.ids.detach().clone())
        return whole(rows) * (torch.nan if len(before) == 3 else 1.0)

    monkeypatch.setattr(learning, "_loss", lost_at_the_third)
    with pytest.raises(TrainingFailed, match=r"nan at step 3, of \d+ sequences \(the first is number \d+\)"):
        learning.epoch()
    assert not torch.equal(before[1], before[2]), "until then it moved"
    assert torch.equal(learning.net.ids, before[2])


def families() -> tuple[list[list[int]], Floats]:
    """Shoppers stay in one of four families of ten items; the text tells the family."""
    rng = np.random.default_rng(3)
    walks_ = [(rng.integers(4) * 10 + rng.permutation(10)[:6]).tolist() for _ in range(200)]
    text = np.repeat(np.eye(4, dtype=np.float32), 10, axis=0)
    return walks_, text


def test_an_item_that_training_never_saw_is_found_by_its_text():
    some, text = families()
    cold = np.arange(ITEMS) % 10 == 9
    model = fit(Sequences.of(some).without(cold), text, [SMALL], Choice([6], (0.0, 0.0), 0.0))
    scores = model.scores(Sequences.of([[0, 1], [10, 12], [21, 25], [33, 34]]))
    assert scores[:, cold].argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_ids_are_hidden_at_random_in_training_only():
    run = SequenceFit(Sequences.of(walks(20)), no_text(), SMALL)
    parts, places = run.net.parts(torch.arange(ITEMS)), torch.arange(ITEMS).repeat(200)
    text = parts.texts[places]
    run.net.train()
    hidden = (run.net.items(parts, places) == text).all(dim=1).float().mean()
    assert 0.15 < float(hidden) < 0.25
    run.net.eval()
    assert not (run.net.items(parts, places) == text).all(dim=1).any()


def test_the_loss_is_a_softmax_over_the_target_and_the_other_negatives():
    torch.manual_seed(0)
    run = SequenceFit(Sequences.of(walks(20)), no_text(), SMALL)
    user, positive, negative = torch.randn(5, 16), torch.randn(5, 16), torch.randn(7, 16)
    same = torch.zeros(5, 7, dtype=torch.bool)
    same[2, 4] = True
    losses = []
    for row in range(5):
        others = [negative[k] for k in range(7) if not same[row, k]]
        likeness = [
            torch.cosine_similarity(user[row], item, dim=0) / 0.07 for item in [positive[row], *others]
        ]
        losses.append(-torch.log_softmax(torch.stack(likeness), dim=0)[0])
    torch.testing.assert_close(run.contrast(user, positive, negative, same), torch.stack(losses).mean())


def test_negatives_are_distinct_items_of_the_training():
    run = SequenceFit(
        Sequences.of([[3, 5, 9], [5, 11]]), no_text(), SMALL.model_copy(update={"negatives": 3})
    )
    for _ in range(20):
        drawn = run._negatives()
        assert len(set(drawn.tolist())) == 3
        assert set(drawn.tolist()) <= {3, 5, 9, 11}


def test_a_fitted_tower_stands_still_while_training_goes_on():
    run = SequenceFit(Sequences.of(walks(30)), no_text(), SMALL)
    run.epoch()
    tower, histories = run.tower(), Sequences.of([[1, 2], [3]])
    before = tower.scores(histories)
    run.epoch()
    assert tower.scores(histories).tobytes() == before.tobytes()
    assert run.tower().scores(histories).tobytes() != before.tobytes()


def test_gains_are_those_of_a_sorted_list():
    rng = np.random.default_rng(0)
    held = validation_of(walks(50), new_only=True)
    scores = rng.integers(0, 9, size=(50, ITEMS)).astype(np.float32)
    expected = []
    for row in range(50):
        own = set(held.histories[row].tolist())
        order = [item for item in np.lexsort((np.arange(ITEMS), -scores[row])) if item not in own]
        place = order.index(held.targets[row]) if held.targets[row] in order else 99
        expected.append(1 / np.log2(place + 2) if place < 10 else 0.0)
    np.testing.assert_allclose(held.gains(scores.copy()), expected, rtol=1e-6)


def test_lists_are_sorted_without_the_history_and_end_early_where_nothing_is_left():
    model = fit(Sequences.of(walks(30)), no_text(), [SMALL], Choice([1], (0.0, 1.0), 0.0))
    histories = Sequences.of([list(range(ITEMS - 3)), [1, 2]])
    top = model.top(histories, k=5, new_only=True)
    assert set(top[0].tolist()) == {37, 38, 39, -1}
    assert top[0, 3:].tolist() == [-1, -1]
    assert not {1, 2} & set(top[1].tolist())
    scores = model.scores(histories)[1]
    assert (np.diff(scores[top[1]]) <= 0).all()


def test_equal_scores_are_listed_by_code():
    assert first_of(np.array([[1, 3, 3, 2, 3]], np.float32), 4).tolist() == [[1, 2, 4, 3]]


def test_an_empty_history_scores_without_a_tower_and_without_a_fault():
    model = fit(Sequences.of(walks(30)), no_text(), [SMALL], Choice([1], (1.0, 1.0), 0.0))
    assert not model.scores(Sequences.of([[]])).any()


def test_nothing_to_learn_or_to_validate_on_is_told():
    held = validation_of(walks(10))
    with pytest.raises(EmptyPartition, match="sequences of two or more items"):
        choose(Sequences.of([[1], [2]]), held, no_text(), [SMALL])
    with pytest.raises(EmptyPartition, match="validation targets"):
        choose(Sequences.of(walks(10)), validation_of([]), no_text(), [SMALL])


def test_a_model_of_several_towers_is_their_mean():
    sequences = Sequences.of(walks(30))
    towers = [SMALL, SMALL.model_copy(update={"user": "transformer"})]
    both = fit(sequences, no_text(), towers, Choice([1, 1], (0.0, 0.0), 0.0))
    each = [
        SequenceModel.of([tower], no_text(), sequences, (0.0, 0.0)).scores(sequences) for tower in both.towers
    ]
    np.testing.assert_allclose(both.scores(sequences), (each[0] + each[1]) / 2, rtol=1e-4, atol=1e-5)


def test_an_unseen_item_borrows_the_ids_of_items_with_its_text():
    some, text = families()
    cold = np.arange(ITEMS) % 10 == 9
    tower = fit(Sequences.of(some).without(cold), text, [SMALL], Choice([2], (0.0, 0.0), 0.0)).towers[0]
    ids, frozen = tower.net.ids.detach().numpy(), tower.net.text(tower.net.text_VT).detach().numpy()
    mean = ids[:9].mean(axis=0) + frozen[9]
    np.testing.assert_allclose(tower.items[9], mean / np.linalg.norm(mean), rtol=1e-3, atol=1e-4)


def test_nothing_that_a_sequence_holds_is_a_negative_for_it(monkeypatch):
    sequences = Sequences.of([[1, 2, 3, 4], [5, 6], [7, 1, 7]])
    run = SequenceFit(sequences, no_text(), SMALL)
    seen = []
    monkeypatch.setattr(run, "contrast", lambda user, positive, negative, own: seen.append(own))
    run._loss(np.arange(3))
    held = {tuple(run.vocabulary[row].tolist()) for row in seen[0].numpy()}
    assert held == {(1, 2, 3, 4), (5, 6), (1, 7)}
    assert len(seen[0]) == 3 + 1 + 2


def test_before_training_the_mean_tower_ranks_by_likeness_of_texts():
    rng = np.random.default_rng(0)
    text = rng.normal(size=(ITEMS, 12)).astype(np.float32)
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    net = SequenceNet(torch.from_numpy(text), SMALL).eval()
    items = net.text(net.text_VT).detach().numpy()
    likeness = items @ items.T / (np.linalg.norm(items, axis=1) * np.linalg.norm(items, axis=1)[:, None])
    np.testing.assert_allclose(likeness, text @ text.T, atol=1e-5)
