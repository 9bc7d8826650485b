import json

import numpy as np
import polars as pl
import pytest
import torch

from benchmarks import frontier, time_split
from benchmarks.frontier import VARIANTS
from benchmarks.home import Home, shop_settings
from benchmarks.isolated import Measured
from benchmarks.smaller import first_layers, in_int8, int8_figures, kept_neighbours, nearest, weights_mb
from recsys_tasks.errors import SettingsError
from recsys_tasks.model.encoder import TextEncoder
from recsys_tasks.training.objectives.registry import OBJECTIVES
from tests.benchmarks.shop import CUT
from tests.tiny_encoder import LAYERS, tiny_encoder

TEXTS = ["red tent", "a", "blue bag 2", "mug", "tent", "a big stove", "two mugs", "red"]
BEHIND = pl.DataFrame({"user_id": ["anna", "ben"], "NDCG@10": [0.1, 0.3]})
SLICE = {"frozen": 0.2, "tuned": 0.3, "difference": 0.1, "low": 0.05, "high": 0.15, "users": 9}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_encoder(tmp_path_factory.mktemp("model") / "tiny")


class TestSmallerModels:
    @pytest.mark.parametrize("count", range(1, LAYERS + 1))
    def test_the_first_layers_give_the_states_in_the_middle(self, model, tmp_path, count):
        whole = TextEncoder.load(model, max_tokens=32, device="cpu")
        ids = torch.tensor(whole.tokenise(["red tent"]))
        with torch.no_grad():
            states = whole.model(input_ids=ids, output_hidden_states=True).hidden_states[count]
        smaller = TextEncoder.load(first_layers(model, count, tmp_path / "less"), max_tokens=32, device="cpu")
        expected = states.mean(dim=1).numpy()
        np.testing.assert_allclose(smaller.encode(["red tent"]), expected, atol=1e-5)

    def test_fewer_layers_weigh_less(self, model, tmp_path):
        assert weights_mb(first_layers(model, 1, tmp_path / "less")) < weights_mb(model)

    def test_int8_is_near_and_leaves_the_encoder_as_it_was(self, model):
        encoder = TextEncoder.load(model, max_tokens=32, device="cpu")
        before = encoder.encode(TEXTS)
        rough = in_int8(encoder).encode(TEXTS)
        np.testing.assert_array_equal(encoder.encode(TEXTS), before)
        assert not np.array_equal(rough, before)
        np.testing.assert_allclose(rough, before, atol=0.1)

    def test_neighbours_are_those_of_plain_loops(self):
        unit = np.random.default_rng(1).normal(size=(30, 4)).astype(np.float32)
        for place, row in enumerate(nearest(unit, 3)):
            others = sorted(
                set(range(30)) - {place}, key=lambda other, p=place: -float(unit[p] @ unit[other])
            )
            assert set(row.tolist()) == set(others[:3])

    def test_kept_neighbours_are_counted_in_any_order(self):
        before, after = np.array([[1, 2], [0, 2]]), np.array([[2, 1], [0, 3]])
        assert kept_neighbours(before, after) == 0.75

    def test_the_figures_of_int8(self, model):
        found = int8_figures(model, TEXTS, 32)
        assert 0.0 < found["kept_neighbours"] <= 1.0


class TestFrontier:
    def test_a_row_a_figure_with_the_gates_intervals(self):
        facts = {"cpu": 12.34, "cold": SLICE, "warm": {**SLICE, "tuned": 0.4}}
        rows = {row["metric"]: row for row in frontier.rows_of("frozen 3", facts, 90.9)}
        assert rows["cpu_seconds"]["value"] == 12.3
        assert rows["warm NDCG@10"]["value"] == 0.4
        ahead = rows["cold Recall@50 ahead"]
        assert (ahead["value"], ahead["ci_low"], ahead["ci_high"]) == (0.1, 0.05, 0.15)

    def test_lists_are_told_with_their_lead_over_the_untuned_base(self):
        users = [f"s{number}" for number in range(40)]
        base = pl.DataFrame({"user_id": users, "NDCG@10": [0.1, 0.3] * 20})
        mine = base.with_columns(pl.col("NDCG@10") + 0.2).reverse()
        found = {row["metric"]: row for row in frontier.list_rows("frozen 3", mine, base, seed=0)}
        assert found["new NDCG@10"]["value"] == 0.4
        assert found["new NDCG@10"]["ci_low"] < 0.4 < found["new NDCG@10"]["ci_high"]
        ahead = found["new NDCG@10 ahead"]
        assert (ahead["value"], ahead["ci_low"], ahead["ci_high"]) == (0.2, 0.2, 0.2)
        untuned = [row["metric"] for row in frontier.list_rows(frontier.BASE, base, base, seed=0)]
        assert untuned == ["new NDCG@10"]

    def test_lists_of_the_vectors_alone_are_the_time_splits_row(self, home):
        """The same cut asked through the time split, whose row `ours-text` goes the whole way of a night."""
        board = time_split.run(home, [CUT], [28], ["ours-text"])
        row = pl.concat(board.scores).filter(pl.col("slice") == "new").sort("user_id")
        mine = frontier.behind(home, CUT).sort("user_id")
        assert mine["user_id"].to_list() == row["user_id"].to_list()
        np.testing.assert_allclose(mine["NDCG@10"], row["NDCG@10"], atol=1e-6)
        assert mine["NDCG@10"].max() > 0

    def test_every_variant_is_its_own_setting_and_smaller_bases_are_made_once(self, shop, tmp_path):
        given = frontier_arguments(shop, tmp_path)
        smaller = next(variant for variant in VARIANTS if variant.layers == 2)
        home = frontier.home_of(given, smaller)
        base = home.settings.encoder.base
        assert (
            json.loads((tmp_path / "homes").joinpath("bases", base, "config.json").read_text())[
                "num_hidden_layers"
            ]
            == 2
        )
        assert home.settings.encoder.frozen_layers == 1
        assert home.settings.encoder.every_nights == 1
        assert frontier.home_of(given, VARIANTS[0]).folder == home.folder

    def test_what_was_found_is_kept_variant_by_variant(self, shop, tmp_path, monkeypatch, capsys):
        jobs = measured_at_once(monkeypatch, cpu=5.0)
        night = CUT.replace(day=CUT.day - 1).isoformat()
        out = tmp_path / "frontier.json"
        assert frontier.main(["--shop", str(shop.file), "--night", night, "--out", str(out)]) == 0
        assert {str(job.night) for job in jobs} == {night}
        # The base is asked first, and is a variant of its own as well.
        assert not any(job.settings.encoder.enabled for job in jobs[:2])
        jobs = jobs[1:]
        frozen = [job.settings.encoder.frozen_layers for job in jobs[1:6]]
        assert frozen == [0, 2, 3, 4, 5]
        adapters = [job.settings.encoder.lora is not None for job in jobs]
        assert adapters == [variant.name.startswith("LoRA") for variant in VARIANTS]
        values = {(row["system"], row["metric"]): row["value"] for row in json.loads(out.read_text())}
        assert values["int8", "ratio_encode"] == 2.0
        assert len({system for system, _ in values}) == len(VARIANTS) + 1
        assert "[+0.0500, +0.1500]" in capsys.readouterr().out

    def test_a_run_of_some_variants_leaves_the_rows_of_the_others(self, shop, tmp_path, monkeypatch):
        night = CUT.replace(day=CUT.day - 1).isoformat()
        out = tmp_path / "frontier.json"
        command = ["--shop", str(shop.file), "--night", night, "--out", str(out), "--variants"]
        for cpu, names in ((5.0, ["untuned", "frozen 3"]), (7.0, ["frozen 3", "frozen 5"])):
            measured_at_once(monkeypatch, cpu)
            assert frontier.main([*command, *names]) == 0
        rows = json.loads(out.read_text())
        seconds = [(row["system"], row["value"]) for row in rows if row["metric"] == "cpu_seconds"]
        assert seconds == [("untuned", 5.0), ("frozen 3", 7.0), ("frozen 5", 7.0)]
        assert len(rows) == len({(row["system"], row["metric"]) for row in rows})

    def test_some_variants_in_the_order_they_are_named(self):
        assert [one.name for one in frontier.chosen(["frozen 5", "untuned"])] == ["frozen 5", "untuned"]
        assert frontier.chosen(None) == list(VARIANTS)

    def test_every_objective_is_a_variant_of_its_own_settings(self, shop):
        assert tuple(OBJECTIVES) == frontier.CONTRASTS
        for variant in frontier.chosen([f"pairs {name}" for name in OBJECTIVES]):
            settings = shop_settings(shop.file, list(variant.overrides)).encoder
            assert f"{settings.objective} {settings.contrast.objective}" == variant.name

    def test_an_unknown_variant_is_named_with_those_there_are(self):
        with pytest.raises(SettingsError, match=r"frozen 9: no such variant; known: untuned, frozen 0"):
            frontier.chosen(["frozen 9"])

    def test_a_variant_is_tuned_and_judged_by_the_nights_own_step(self, home):
        encoder = home.settings.encoder.model_copy(
            update={"enabled": True, "every_nights": 1, "steps": 2, "projection_steps": 0, "frozen_layers": 1}
        )
        job = Home(home.settings.model_copy(update={"encoder": encoder}), home.first, home.last).job(CUT)
        facts = frontier.tuned(job)
        rows = {row["metric"]: row["value"] for row in frontier.rows_of("frozen 1", facts, 1.0)}
        assert rows["cpu_seconds"] > 0
        assert rows["cold Recall@50"] == pytest.approx(facts["cold"]["tuned"], abs=1e-4)
        again = frontier.tuned(job)
        assert again["reused"]
        assert again["cpu"] == facts["cpu"]


def measured_at_once(monkeypatch, cpu):
    """The jobs that would be tuned, in turn."""
    jobs = []

    def run(function, *arguments):
        if function is frontier.int8_figures:
            return Measured({"cpu_fp32": 3.0, "cpu_int8": 1.5, "kept_neighbours": 0.8}, 1.0, 1.0)
        if function is frontier.behind:
            return Measured(BEHIND, 1.0, 1.0)
        jobs.append(arguments[0])
        return Measured({"cpu": cpu, "cold": SLICE, "warm": SLICE}, 1.0, 1.0)

    monkeypatch.setattr(frontier, "measured", run)
    return jobs


def frontier_arguments(shop, folder):
    from argparse import Namespace

    return Namespace(shop=shop.file, out=folder / "out.json", home=folder / "homes", set=[])
