import numpy as np
import pytest
import torch

from recsys_tasks.model.causal import CausalTower
from recsys_tasks.model.sequence_batches import buckets, windows
from recsys_tasks.model.sequence_net import DecayedTower
from recsys_tasks.model.sequences import Sequences


def some_sequences(seed: int = 0) -> Sequences:
    rng = np.random.default_rng(seed)
    return Sequences.of(rng.integers(0, 9, size=n) for n in (3, 1, 7, 4, 0, 12, 2, 7))


@pytest.mark.parametrize(
    "tower", [DecayedTower(8, 0.4), CausalTower(8, max_length=20)], ids=["mean", "causal"]
)
def test_a_bucketed_shopper_gets_the_vector_it_gets_alone(tower):
    torch.manual_seed(0)
    tower.eval()
    sequences, table = some_sequences(), torch.randn(9, 8)
    met = set()
    for bucket in buckets(sequences, np.arange(len(sequences))):
        together = tower(table[torch.from_numpy(bucket.inputs)])
        for row, states in zip(bucket.rows, together, strict=True):
            alone = tower(table[torch.from_numpy(sequences[int(row)])][None])[0]
            torch.testing.assert_close(states[: len(alone)], alone)
            met.add(int(row))
    assert met == {0, 1, 2, 3, 5, 6, 7}


@pytest.mark.parametrize(
    "tower", [DecayedTower(8, 0.4), CausalTower(8, max_length=20)], ids=["mean", "causal"]
)
def test_no_place_sees_a_later_item(tower):
    tower.eval()
    x = torch.randn(1, 6, 8)
    changed = x.clone()
    changed[0, 4:] = 7.0
    torch.testing.assert_close(tower(x)[0, :4], tower(changed)[0, :4])
    assert not torch.allclose(tower(x)[0, 4:], tower(changed)[0, 4:])


def test_the_mean_is_what_a_plain_loop_gives():
    tower = DecayedTower(2, 0.0)
    x, decay = np.random.default_rng(0).normal(size=(5, 2)), float(torch.sigmoid(tower.logit.detach()))
    shares = tower.shares(5).detach().numpy()
    for place in range(5):
        weights = [decay ** (place - earlier) for earlier in range(place + 1)]
        mean = sum(w * x[earlier] for earlier, w in enumerate(weights)) / sum(weights)
        np.testing.assert_allclose(shares[place] @ x, mean, rtol=1e-4, atol=1e-6)


def test_buckets_hold_every_item_once_and_little_padding():
    sequences = Sequences.of(range(n) for n in range(1, 60))
    held = list(buckets(sequences, np.arange(len(sequences))))
    assert sum(int(bucket.filled.sum()) for bucket in held) == len(sequences.items)
    assert sum(bucket.inputs.size for bucket in held) < 1.15 * len(sequences.items)


def test_windows_make_every_item_but_the_first_a_target_once():
    pieces = windows(Sequences.of([list(range(12)), [5], [], [1, 2]]), length=5)
    assert [pieces[row].tolist() for row in range(len(pieces))] == [
        [6, 7, 8, 9, 10, 11],
        [1, 2, 3, 4, 5, 6],
        [0, 1],
        [1, 2],
    ]


def test_a_width_that_heads_do_not_divide_is_refused():
    with pytest.raises(ValueError, match="width 9 is no multiple of 2 heads"):
        CausalTower(9, max_length=5)
