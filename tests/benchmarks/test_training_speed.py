"""The harness with systems that are not run, and the product's share on a tiny model."""

import json
import math
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch

from benchmarks import environments, titles, training_gpu, training_ours, training_speed, training_work
from benchmarks.flops import Shape, bf16_peak
from benchmarks.training_work import least_cosine, loss_difference, write_texts, write_work
from recsys_tasks.errors import MissingArtefact, SettingsError, TrainingFailed
from tests.tiny_encoder import tiny_encoder

TEXTS = ["red tent", "a", "blue bag 2", "mug", "tent", "a big stove"]


@pytest.fixture
def request_of(tmp_path):
    model = tiny_encoder(tmp_path / "tiny")

    def asked(steps=3):
        return {**training_speed.request(steps), "model": str(model), "pairs": 4, "learning_rate": 1e-3}

    return asked


def values(rows):
    assert all(set(row) == {"system", "metric", "value", "unit"} for row in rows)
    return {(row["system"], row["metric"]): row["value"] for row in rows}


def found(cpu, losses=(2.0, 1.0)):
    return {"cpu": cpu, "seconds": 2 * cpu, "peak_mb": 500.0, "losses": list(losses)}


class TestTitles:
    def test_they_are_those_of_the_package_in_an_order_that_stays(self):
        texts = titles.catalogue()
        assert len(texts) == 92_331
        assert texts == titles.catalogue()
        assert len(titles.distinct(texts)) == 20_770

    def test_distinct_keeps_the_order(self):
        assert titles.distinct(["b", "a", "b", "c", "a"]) == ["b", "a", "c"]

    def test_popular_texts_are_in_many_pairs_and_none_is_its_own(self):
        anchor, positive = titles.zipf_pairs(1_000, 20_000, seed=1)
        assert len(anchor) == len(positive) == 20_000
        assert not (anchor == positive).any()
        counts = np.bincount(anchor, minlength=1_000)
        assert counts[0] / counts[100:110].mean() == pytest.approx((105 + 20) / 20, rel=0.2)


class TestTheSameWork:
    def test_the_peers_are_given_the_batches_that_ours_draws(self, tmp_path, request_of):
        anchor, positive = np.array([0, 1, 2, 3, 4]), np.array([5, 0, 1, 2, 3])
        distinct = write_work(tmp_path, TEXTS, anchor, positive, request_of())
        written = pl.read_parquet(tmp_path / "batches.parquet")
        steps, objective = training_ours.pair_steps(
            training_ours.pair_data(len(TEXTS), anchor, positive), request_of(), width=2
        )
        for step in range(3):
            steps.loss(step, lambda codes: torch.ones(len(codes), 2), steps.bank.rows)
        for side, name in enumerate(("anchor", "positive")):
            drawn = np.concatenate([batch[side] for batch in objective.batches])
            assert written[name].to_list() == drawn.tolist()
        batches = written.to_numpy().reshape(3, -1)
        assert distinct == pytest.approx(np.mean([len(set(batch)) for batch in batches]))

    def test_the_loss_is_that_of_the_definition(self, tmp_path, request_of):
        """Cross entropy of cosines over the temperature, every other positive a negative, equal texts too."""
        anchor, positive = np.array([0, 1, 2, 3, 4]), np.array([5, 0, 1, 5, 3])
        asked = request_of()
        write_work(tmp_path, TEXTS, anchor, positive, asked)
        batches = pl.read_parquet(tmp_path / "batches.parquet")
        losses = training_ours.train(tmp_path, {**asked, "learning_rate": 0.0})()["losses"]
        write_texts(tmp_path / "all.parquet", TEXTS)
        training_ours.vectors(tmp_path, {**asked, "texts": "all.parquet"})()
        vectors = np.load(tmp_path / "ours.npy").astype(np.float64)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        for step, loss in enumerate(losses):
            rows = batches[4 * step : 4 * step + 4]
            total = 0.0
            for pair in range(4):
                scores = [
                    float(vectors[rows["anchor"][pair]] @ vectors[other]) / asked["temperature"]
                    for other in rows["positive"]
                ]
                total += math.log(sum(math.exp(score - scores[pair]) for score in scores))
            assert loss == pytest.approx(total / 4, abs=1e-4)

    def test_all_layers_learn(self, tmp_path, request_of, monkeypatch):
        learning = []
        minimise = training_ours.minimise
        monkeypatch.setattr(
            training_ours,
            "minimise",
            lambda loss, groups, *rest: learning.append(groups) or minimise(loss, groups, *rest),
        )
        pairs = np.array([0, 1, 2]), np.array([3, 4, 5])
        write_work(tmp_path, TEXTS, *pairs, request_of())
        losses = training_ours.train(tmp_path, request_of())()["losses"]
        assert len(losses) == 3
        # Sixteen arrays a BERT layer, three layers.
        assert len(learning[0][0]["params"]) == 3 * 16

    def test_a_second_night_encodes_what_changed(self, tmp_path, request_of):
        asked = {**request_of(), "cache": "cache"}
        write_texts(tmp_path / "first.parquet", TEXTS)
        write_texts(tmp_path / "second.parquet", [*TEXTS[1:], "a red mug"])
        nights = [
            training_ours.night(tmp_path, {**asked, "texts": f"{which}.parquet"})()["encoded"]
            for which in ("first", "second")
        ]
        assert nights == [6, 1]

    def test_other_losses_are_no_figure(self):
        assert loss_difference([2.0, 1.0], [2.0, 1.00005]) == pytest.approx(5e-5)
        with pytest.raises(TrainingFailed, match=r"step 1: the losses are 1.00000 and 1.00020"):
            loss_difference([2.0, 1.0], [2.0, 1.0002])
        with pytest.raises(TrainingFailed, match="ours took 2 steps"):
            loss_difference([2.0, 1.0], [2.0])
        with pytest.raises(TrainingFailed, match="step 0"):
            loss_difference([math.nan], [2.0])

    def test_other_vectors_are_no_figure(self):
        ours = np.array([[1.0, 0.0], [0.0, 2.0]])
        assert least_cosine(ours, 3 * ours) == pytest.approx(1.0)
        with pytest.raises(TrainingFailed, match=r"text 1: the vectors' cosine is 0.8"):
            least_cosine(ours, np.array([[1.0, 0.0], [0.6, 0.8]]))


class TestFigures:
    def test_trainers_are_compared_by_medians(self):
        runs = {
            "ours": [found(8.0), found(10.0), found(90.0)],
            "peer": [found(20.0), found(1.0), found(30.0)],
            "peer-default": [found(25.0), found(25.0), found(25.0)],
        }
        told = values(training_speed.trained(runs, steps=2, distinct=200.0))
        assert told["ours", "ratio_train"] == 2.0
        assert told["ours", "ratio_train_default"] == 2.5
        assert told["ours", "cpu_seconds_step"] == 5.0
        assert told["batch", "distinct_texts"] == 200.0

    def test_a_default_peer_may_lose_otherwise_but_the_like_one_may_not(self):
        runs = {"ours": [found(8.0)], "peer": [found(8.0)], "peer-default": [found(8.0, (5.0, 4.0))]}
        training_speed.trained(runs, steps=2, distinct=200.0)
        runs["peer"] = [found(8.0, (5.0, 4.0))]
        with pytest.raises(TrainingFailed, match="do not do the same work"):
            training_speed.trained(runs, steps=2, distinct=200.0)

    def test_encoding_is_told_by_text(self):
        runs = {"ours-encode": [found(2.0)], "peer-encode": [found(3.0)]}
        told = values(training_speed.encoded(runs, 500, "_repeated", cosine=1.0))
        assert told["ours", "ratio_encode_repeated"] == 1.5
        assert told["ours", "cpu_ms_text_repeated"] == 4.0

    def test_repeated_titles_stand_as_often_as_the_catalogue_has_them(self, tmp_path, monkeypatch):
        def run(system, folder, request):
            asked.append(pl.read_parquet(folder / request["texts"])["text"].to_list())
            for name in ("ours", "peer"):
                np.save(folder / f"{name}.npy", np.ones((2, 2)))
            return found(1.0)

        asked = []
        monkeypatch.setattr(training_speed, "run", run)
        training_speed.encoding(tmp_path, 4_000, repeats=1)
        once, _, repeated, _ = asked
        assert len(once) == len(set(once)) == 4_000
        # A quarter of 4,000 titles, and 92,331 products have 20,770.
        assert len(set(repeated)) == pytest.approx(1_000, rel=0.05)
        assert len(repeated) / len(set(repeated)) == pytest.approx(92_331 / 20_770, rel=0.3)

    def test_a_second_night_differs_in_one_text_of_a_hundred(self, tmp_path, monkeypatch):
        def run(system, folder, request):
            texts = pl.read_parquet(folder / request["texts"])["text"].to_list()
            asked.append((request["cache"], texts))
            return {"cpu": 10.0 if request["texts"] == "first.parquet" else 0.3, "encoded": 3}

        asked = []
        monkeypatch.setattr(training_speed, "run", run)
        told = values(training_speed.nights(tmp_path, 300, repeats=2))
        assert told["ours", "second_night_share"] == 0.03
        (cache, first), (same, second), (other, _), _ = asked
        assert cache == same != other
        assert len(set(second) - set(first)) == 3

    def test_the_file_holds_what_is_shown(self, tmp_path, monkeypatch, capsys):
        rows = [training_work.row("ours", "ratio_train", 2.0, "x")]
        monkeypatch.setattr(training_speed, "measured", lambda folder, given: rows)
        assert training_speed.main(["--out", str(tmp_path / "out.json")]) == 0
        assert json.loads((tmp_path / "out.json").read_text()) == rows
        assert "ratio_train" in capsys.readouterr().out

    def test_without_the_peers_environment_one_line_says_what_to_do(self, tmp_path, monkeypatch, capsys):
        def run(folder, given):
            return training_work.run("peer", folder, {})

        monkeypatch.setattr(environments, "PEERS_PYTHON", tmp_path / "none")
        monkeypatch.setattr(training_speed, "measured", run)
        assert training_speed.main(["--out", str(tmp_path / "out.json")]) == MissingArtefact.exit_code
        assert "make bench" in capsys.readouterr().err

    def test_a_worker_that_fails_is_told(self, tmp_path):
        with pytest.raises(TrainingFailed, match=r"(?s)ours: the worker ended with 1: .*texts.parquet"):
            training_work.run("ours", tmp_path, {"model": "", "device": "cpu"})


class TestCards:
    def test_flops_of_a_token_are_those_of_every_product(self):
        shape, tokens = Shape(layers=2, width=8, inner=32), 5
        forward = 0
        for _ in range(shape.layers):
            for rows, columns in [(8, 8)] * 4 + [(8, 32), (32, 8)]:
                forward += 2 * rows * columns
            # A query against every key, and the weighted sum of every value.
            forward += 2 * (2 * tokens * 8)
        assert shape.training_flops(tokens) == 3 * forward

    def test_weights_are_those_of_the_model(self):
        from transformers import BertConfig, BertModel

        config = BertConfig(
            vocab_size=9, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24
        )
        matrices = [p for p in BertModel(config).encoder.parameters() if p.ndim == 2]
        assert Shape(2, 16, 24).weights == sum(matrix.numel() for matrix in matrices)

    @pytest.mark.parametrize(
        ("card", "peak"),
        [
            ("NVIDIA H200", 989e12),
            ("NVIDIA H100 80GB HBM3", 989e12),
            ("NVIDIA H100 PCIe", 756e12),
            ("NVIDIA A100-SXM4-40GB", 312e12),
            ("NVIDIA L4", 121e12),
            ("NVIDIA L40S", 362e12),
            ("Tesla T4", None),
        ],
    )
    def test_peaks_by_the_name_of_the_card(self, card, peak):
        assert bf16_peak(card) == peak

    def test_texts_a_second_and_shares(self):
        shape = training_gpu.MINILM
        seconds = {"ours": [1.0, 1.0, 9.0], "peer": [2.0], "peer-default": [4.0]}
        texts = {"ours": 250.0, "peer": 256.0, "peer-default": 256.0}
        rows = training_gpu.throughput("minilm", shape, seconds, texts=texts, peak=1e15)
        told = values(rows)
        assert told["ours", "texts_second minilm"] == 25_000.0
        share = 25_000.0 * 32 * shape.training_flops(32) / 1e15
        assert told["ours", "bf16_share minilm"] == pytest.approx(share, abs=1e-4)
        assert told["ours", "ratio_train_default minilm"] == pytest.approx(25_000 / 6_400, abs=0.01)
        unknown = values(training_gpu.throughput("m", shape, seconds, texts=texts, peak=None))
        assert ("ours", "bf16_share m") not in unknown

    def test_no_pair_shares_a_text_with_another(self):
        texts, anchor, positive = training_gpu.long_pairs()
        assert len({*anchor, *positive}) == 2 * len(anchor) <= len(texts) == len(set(texts))

    def test_on_a_card_each_trainer_takes_its_turn_with_both_models(self, tmp_path, monkeypatch):
        """A card that answers by its name only; what runs on it are numbers."""
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H200")
        monkeypatch.setattr(training_gpu, "write_work", lambda *_: 250.0)
        monkeypatch.setattr(training_gpu, "bert_base", lambda *_: "bert")
        asked = []

        def run(system, _folder, request):
            asked.append((system, request["model"], request["steps"]))
            assert (request["device"], request["max_tokens"]) == ("cuda", 32)
            return {"seconds": 5.0 + request["steps"] * (0.01 if system == "ours" else 0.03)}

        monkeypatch.setattr(training_gpu, "run", run)
        told = values(training_speed.measured(tmp_path, SimpleNamespace(device="cuda", repeats=2)))
        turn = [(system, steps) for system in training_gpu.TRAINERS for steps in (20, 120)]
        assert [(system, steps) for system, _, steps in asked] == turn * 4
        assert len({model for _, model, _ in asked}) == 2
        for model in ("minilm", "bert-base"):
            assert told["ours", f"texts_second {model}"] == pytest.approx(25_000)
            assert told["ours", f"ratio_train {model}"] == pytest.approx(25_000 / (256 / 0.03), abs=0.01)
            assert 0 < told["ours", f"bf16_share {model}"] < 1

    def test_without_a_card_it_is_said(self, tmp_path, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        with pytest.raises(SettingsError, match="--device cuda"):
            training_speed.measured(tmp_path, SimpleNamespace(device="cuda", repeats=1))
