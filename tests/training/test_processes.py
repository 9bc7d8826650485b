import torch
from torch import nn

from recsys_tasks.training import processes
from recsys_tasks.training.processes import Processes


def test_a_gradient_becomes_its_mean_over_the_processes(monkeypatch):
    """AdamW hardly sees a gradient's scale, so no loss would tell; the limit on its norm does."""
    others = torch.tensor([1.0, -7.0])
    monkeypatch.setattr(processes.dist, "all_reduce", lambda gradient: gradient.add_(others))
    learned, untouched = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
    learned.grad = torch.tensor([3.0, 5.0])
    Processes(world=2).average([learned, untouched])
    assert learned.grad.tolist() == [2.0, -1.0]
    assert untouched.grad is None
    Processes().average([learned])
    assert learned.grad.tolist() == [2.0, -1.0]
