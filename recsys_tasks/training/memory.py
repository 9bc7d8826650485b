"""Which settings decide how much memory a training takes."""

from recsys_tasks.settings import EncoderSettings


def what_to_lower(settings: EncoderSettings) -> str:
    """The settings that decide how much memory a step of encoder training takes; first what changes no result."""
    queue = getattr(settings.contrast, "queue", None)
    chunk = "none" if settings.chunk_texts is None else settings.chunk_texts
    return (
        f"set or lower encoder.chunk_texts (now {chunk}), "
        f"lower encoder.batch_texts (now {settings.batch_texts}) or encoder.max_tokens (now {settings.max_tokens}), "
        + (f"lower encoder.contrast.queue (now {queue}), " if queue is not None else "")
        + f"or raise encoder.frozen_layers (now {settings.frozen_layers})"
    )


def what_adaptation_lowers(settings: EncoderSettings) -> str:
    """The settings that decide how much memory a masked-token step takes (``encoder.adapt`` is set)."""
    assert settings.adapt is not None
    batch = f"encoder.adapt.batch_texts (now {settings.adapt.batch_texts})"
    return f"lower {batch} or encoder.max_tokens (now {settings.max_tokens})"
