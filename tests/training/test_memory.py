from recsys_tasks.settings import EncoderSettings
from recsys_tasks.training.memory import what_to_lower


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
