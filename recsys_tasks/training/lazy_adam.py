"""Adam for a table of which a step meets few rows."""

import torch
from torch import Tensor

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


class LazyAdam:
    """
    Adam that touches only the rows a step met: the cost of a step does not grow with the table.

    As torch.optim.SparseAdam, a row's moments stand still while it is not met; a quarter of its time, because the
    rows arrive distinct and already gathered.
    """

    def __init__(self, table: Tensor, learning_rate: float) -> None:
        self.table, self.learning_rate, self.steps = table, learning_rate, 0
        self.mean, self.square = torch.zeros_like(table), torch.zeros_like(table)

    @torch.no_grad()
    def step(self, rows: Tensor, values: Tensor, gradient: Tensor, share: float = 1.0) -> None:
        """Move ``table[rows]``, whose present ``values`` are given, at a share of the learning rate."""
        self.steps += 1
        mean = self.mean.index_select(0, rows).lerp_(gradient, 1 - BETA_1)
        square = self.square.index_select(0, rows).mul_(BETA_2).addcmul_(gradient, gradient, value=1 - BETA_2)
        size = self.learning_rate * share / (1 - BETA_1**self.steps)
        spread = (square / (1 - BETA_2**self.steps)).sqrt_().add_(EPSILON)
        self.table.index_copy_(0, rows, torch.addcdiv(values, mean, spread, value=-size))
        self.mean.index_copy_(0, rows, mean)
        self.square.index_copy_(0, rows, square)
