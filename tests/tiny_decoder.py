"""Decoders small enough for every test: random weights, a byte-level BPE tokenizer without merges."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

WIDTH = 32
LAYERS = 3
END = "<|endoftext|>"
POSITIONS = 64
FAMILIES = ("gpt2", "llama", "qwen2", "qwen3")


def tiny_decoder(folder: Path, words: Iterable[str] = (), seed: int = 0, family: str = "gpt2") -> Path:
    """
    Write the model into ``folder`` and return it, to be used as ``encoder.base``.

    ``words`` get a token each; any other text falls into its bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = _tokenizer(words)
    tokenizer.save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        _model(family, len(tokenizer)).save_pretrained(folder)
    return folder


def _model(family: str, vocabulary: int) -> Any:
    import transformers

    if family == "gpt2":
        config = transformers.GPT2Config(
            vocab_size=vocabulary, n_embd=WIDTH, n_layer=LAYERS, n_head=4, n_positions=POSITIONS
        )
        return transformers.GPT2Model(config)
    # Two heads of keys serve four heads of queries.
    sizes = {
        "vocab_size": vocabulary,
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": WIDTH // 4,
        "intermediate_size": 2 * WIDTH,
        "max_position_embeddings": POSITIONS,
    }
    name = family.capitalize()
    return getattr(transformers, f"{name}Model")(getattr(transformers, f"{name}Config")(**sizes))


def _tokenizer(words: Iterable[str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: code for code, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_tokens(sorted(set(words)))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, model_max_length=POSITIONS)
