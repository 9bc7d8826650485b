from pathlib import Path

import pytest

from recsys_tasks.settings import load_settings
from tests.settings.builders import edited, line_of, refusal

CONTRAST = "encoder:\n  objective: pairs\n  contrast:\n    "


def with_contrast(shop: Path, *lines: str) -> Path:
    return edited(shop, "top_k: 10", CONTRAST + "\n    ".join(lines))


def test_an_objective_has_its_own_settings(shop):
    contrast = load_settings(with_contrast(shop, "objective: moco", "queue: 64")).encoder.contrast
    assert (contrast.objective, contrast.queue, contrast.similarity) == ("moco", 64, "cosine")


def test_without_a_name_the_objective_is_the_default(shop):
    contrast = load_settings(with_contrast(shop, "similarity: dot")).encoder.contrast
    assert (contrast.objective, contrast.similarity) == ("info_nce", "dot")


@pytest.mark.parametrize(
    ("lines", "at", "expected"),
    [
        (["objective: byol", "queue: 64"], "queue", "encoder.contrast.queue: unknown key"),
        (["queue: 64"], "queue", "queue: unknown key"),
        (["objective: moco", "in_batch: 0.5"], "in_batch", "encoder.contrast.in_batch: unknown key"),
        (["objective: nt_xent", "in_batch: 2"], "in_batch", "encoder.contrast.in_batch: Input should be"),
        (["objective: simclr"], "contrast", "encoder.contrast: Input tag 'simclr'"),
        (
            ["objective: moco", "momentum: 1.0"],
            "momentum",
            "encoder.contrast.momentum: Input should be less than 1",
        ),
        (["objective: byol", "similarity: dot"], "similarity", "'cosine' or 'euclidean'"),
        (["objective: triplet", "temperature: learned"], "temperature", "unknown key"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_a_fault_of_an_objective_is_told_with_its_line(shop, lines, at, expected):
    message = refusal(with_contrast(shop, *lines))
    assert message.startswith(f"{shop}:{line_of(shop, at)}: ")
    assert expected in message


def test_an_objective_of_pairs_that_nothing_would_use_is_refused(shop):
    message = refusal(edited(shop, "top_k: 10", "encoder: {contrast: {objective: moco}}"))
    assert "needs objective: pairs" in message


def test_a_correction_that_pairs_would_not_use_is_refused(shop):
    message = refusal(edited(shop, "top_k: 10", "encoder: {objective: pairs, logq: 0.5}"))
    assert "logq needs objective: history" in message


def test_popularity_that_pairs_would_not_use_is_refused(shop):
    message = refusal(edited(shop, "top_k: 10", "encoder: {objective: pairs, popularity_in_logit: true}"))
    assert "popularity_in_logit needs objective: history" in message


def test_a_mean_of_adapters_is_refused(shop):
    message = refusal(edited(shop, "top_k: 10", "encoder: {lora: {rank: 4}, average_share: 0.5}"))
    assert "average_share with lora" in message


def test_the_environment_chooses_an_objective_too(shop, monkeypatch):
    monkeypatch.setenv("RECSYS_ENCODER__OBJECTIVE", "pairs")
    monkeypatch.setenv("RECSYS_ENCODER__CONTRAST__OBJECTIVE", "triplet")
    monkeypatch.setenv("RECSYS_ENCODER__CONTRAST__MARGIN", "0.3")
    contrast = load_settings(shop).encoder.contrast
    assert (contrast.objective, contrast.margin) == ("triplet", 0.3)


def test_views_meet_at_least_some_of_the_batch(shop):
    views = CONTRAST.replace("pairs", "views") + "in_batch: 0"
    told = refusal(edited(shop, "top_k: 10", views))
    assert "contrast.in_batch: views have no negatives but the batch's" in told


def test_views_with_a_queue_need_nobody_else(shop):
    views = CONTRAST.replace("pairs", "views") + "objective: cross_batch\n    in_batch: 0"
    assert load_settings(edited(shop, "top_k: 10", views)).encoder.contrast.in_batch == 0
