"""
Low-rank adapters: instead of a matrix two thin ones beside it learn, and are added to it in the end.

Hu et al. 2021 (arXiv 2106.09685), section 4.1: W x becomes W x + (alpha / rank) B A x with W frozen, A (rank, in)
drawn at random and B (out, rank) zero, so that training starts at the pretrained model. Every linear layer of the
learning part gets one (attention and feed-forward: Dettmers et al. 2023, arXiv 2305.14314, section 4, needed them
all); norms and biases stay. peft does it; what is saved is the merged model, which knows nothing of adapters.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from recsys_tasks.settings.backbone import LoraSettings
from recsys_tasks.training.layers import SplitEncoder


@contextmanager
def adapters(split: SplitEncoder, settings: LoraSettings | None) -> Iterator[None]:
    """While the body runs only adapters learn; behind it they are merged into the model. None: nothing changes."""
    if settings is None:
        yield
        return
    adapted = adapt(split, settings)
    yield
    adapted.merge_and_unload()


def adapt(split: SplitEncoder, settings: LoraSettings) -> Any:
    """
    Put adapters into the learning layers, drawn from torch's generator: peft's LoraModel over them.

    Its ``merge_and_unload`` adds them to the matrices and takes them out again.
    """
    # Loaded where it is asked for: it takes seconds, and the step that launches a training needs none of it.
    from peft import LoraConfig, LoraModel
    from transformers.pytorch_utils import Conv1D

    found = dict(split.learning.named_modules())
    linear = [name for name, module in found.items() if isinstance(module, nn.Linear | Conv1D)]
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        target_modules=linear,
        # GPT-2 keeps its matrices the other way round.
        fan_in_fan_out=any(isinstance(found[name], Conv1D) for name in linear),
    )
    return LoraModel(split.learning, config, "default")
