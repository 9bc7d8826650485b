import numpy as np
import pytest
import torch

from recsys_tasks.errors import TrainingFailed
from recsys_tasks.model.full_memory import advice


def refused_by_torch():
    torch.empty(2**55)


def refused_by_numpy():
    np.empty(2**55)


def refused_by_the_gpu():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


@pytest.mark.parametrize("ask", [refused_by_torch, refused_by_numpy, refused_by_the_gpu])
def test_memory_that_is_refused_names_what_to_lower(ask):
    with (
        pytest.raises(TrainingFailed, match=r"out of memory while tuning: lower encoder\.batch_texts \("),
        advice("tuning", "lower encoder.batch_texts"),
    ):
        ask()


@pytest.mark.parametrize("error", [RuntimeError("mat1 and mat2 shapes differ"), ValueError("out of memory")])
def test_other_errors_keep_their_trace(error):
    with pytest.raises(type(error)) as raised, advice("tuning", "lower it"):
        raise error
    assert raised.value is error
