import numpy as np
import pytest
import torch

from recsys_tasks.errors import TrainingFailed
from recsys_tasks.settings import EncoderSettings
from recsys_tasks.training.memory import advice, what_to_lower


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


def test_the_settings_to_lower_are_told_with_what_they_are():
    settings = EncoderSettings(batch_texts=96, max_tokens=40, frozen_layers=2)
    told = what_to_lower(settings)
    assert told.startswith("set or lower encoder.chunk_texts"), "the gradient stays the same"
    assert "encoder.batch_texts (now 96)" in told
    assert "encoder.max_tokens (now 40)" in told
    assert "encoder.frozen_layers (now 2)" in told
    assert "encoder.chunk_texts (now none)" in told
    assert "encoder.chunk_texts (now 8)" in what_to_lower(EncoderSettings(chunk_texts=8))
    assert "queue" not in told
    moco = EncoderSettings(objective="pairs", contrast={"objective": "moco", "queue": 7})
    assert "encoder.contrast.queue (now 7)" in what_to_lower(moco)
