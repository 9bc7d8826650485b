import torch

from recsys_tasks.training.lazy_adam import LazyAdam


def test_where_every_row_is_met_it_is_adam():
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(6, 3, generator=generator)
    ours, theirs = start.clone(), torch.nn.Parameter(start.clone())
    lazy, adam = LazyAdam(ours, 0.1), torch.optim.Adam([theirs], lr=0.1)
    for _ in range(5):
        gradient = torch.randn(6, 3, generator=generator)
        lazy.step(torch.arange(6), ours.clone(), gradient)
        theirs.grad = gradient
        adam.step()
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_a_row_that_is_not_met_stays_as_it_is():
    table = torch.ones(3, 2)
    lazy, met = LazyAdam(table, 0.1), torch.tensor([0, 2])
    for _ in range(3):
        lazy.step(met, table[met], torch.ones(2, 2))
    assert table[1].tolist() == [1, 1]
    assert (table[met] < 1).all()


def test_half_the_rate_moves_half_as_far():
    moved = []
    for share in (1.0, 0.5):
        table = torch.zeros(1, 2)
        LazyAdam(table, 0.1).step(torch.tensor([0]), table, torch.ones(1, 2), share)
        moved.append(table[0, 0].item())
    assert abs(moved[0] - 2 * moved[1]) < 1e-6
