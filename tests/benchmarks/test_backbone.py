import io

import pytest
from rich.console import Console
from transformers import AutoConfig

from benchmarks.backbone import BOTH, MASKED, TAUGHT, TUNED, random_backbone, recipe, rows_of, show
from recsys_tasks.model.encoder import TextEncoder, weights_hash
from recsys_tasks.settings import EncoderSettings
from tests.tiny_encoder import tiny_encoder

SLICE = {"frozen": 0.1, "tuned": 0.3, "difference": 0.2, "low": 0.1, "high": 0.3, "users": 12}
FACTS = {"cold": SLICE, "warm": {**SLICE, "tuned": 0.25, "difference": 0.15}}
RAW = {"cold": 0.0412, "warm": 0.0109}
LOSSES = {"adaptation": {"loss_before": 10.31, "loss_after": 4.2}}


def test_a_random_backbone_is_built_like_its_model_and_random_by_its_seed(tmp_path):
    like = tiny_encoder(tmp_path / "tiny", words=("tent",))
    made = random_backbone(tmp_path / "a", like, layers=2, seed=1)
    assert AutoConfig.from_pretrained(made).num_hidden_layers == 2
    assert TextEncoder.load(made, 16, "cpu").tokenise(["tent"]) == TextEncoder.load(like, 16, "cpu").tokenise(
        ["tent"]
    )
    again, other = (random_backbone(tmp_path / "b", like, layers=2, seed=seed) for seed in (1, 2))
    assert weights_hash(made) == weights_hash(again) != weights_hash(other)
    assert random_backbone(tmp_path / "a", like, layers=2, seed=1) == made


@pytest.mark.parametrize("taught", TAUGHT)
def test_each_recipe_teaches_what_its_name_says(tmp_path, taught):
    made = recipe(EncoderSettings(), tmp_path, taught, steps=40, adapt_steps=30)
    assert EncoderSettings(**made.model_dump()) == made, "settings a shop could have"
    assert (made.frozen_layers, made.every_nights) == (0, 1)
    assert (made.adapt is not None) == (taught in (MASKED, BOTH))
    assert (made.steps == 40 and made.learning_rate > 1e-5) == (taught in (TUNED, BOTH))
    assert made.steps == 40 or made.learning_rate < 1e-9
    assert (made.projection_steps == 0) == (taught == MASKED)


def test_the_table_tells_both_slices_and_the_masked_loss():
    rows = [*rows_of(FACTS, RAW, TUNED, 12.34), *rows_of({**FACTS, **LOSSES}, RAW, BOTH, None)]
    assert [row["slice"] for row in rows] == ["cold", "warm"] * 2
    assert rows[0]["masked_loss_before"] is None
    page = io.StringIO()
    show(rows, Console(width=140, file=page))
    told = page.getvalue()
    for part in (
        "cold Recall@50",
        "warm NDCG@10",
        "0.0412",
        "0.0109",
        "+0.2000",
        "+0.1000 to +0.3000",
        "10.31 to 4.20",
    ):
        assert part in told
