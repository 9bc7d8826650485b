"""
The worker's sequence models, by the library RecTools: SASRec and eSASRec.

SASRec: Kang and McAuley (2018), RecTools' layers. eSASRec: RecTools' LiGR layers in their place ("eSASRec: Enhancing
Transformer-based Recommendations in a Modular Fashion", 2025). Both learn by sampled softmax, which is what made
SASRec strong again. What differs from the library's own training is speed, not the model:

* one set of uniform negatives for a batch, the target masked, instead of one for each position;
* batches of like length without padding to the longest history (padding is masked, so it changes no result);
* a long history is cut into pieces, so that all of it is learnt from and not only its end.
"""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import torch
from pytorch_lightning import Callback, Trainer, seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel
from rectools.models.nn.item_net import IdEmbeddingsItemNet
from rectools.models.nn.transformers.data_preparator import SequenceDataset
from rectools.models.nn.transformers.lightning import TransformerLightningModule
from rectools.models.nn.transformers.ligr import LiGRLayers
from rectools.models.nn.transformers.sasrec import SASRecDataPreparator, SASRecTransformerLayers
from torch.utils.data import DataLoader

from benchmarks.peers.worker_batches import Batches, pieces
from benchmarks.peers.worker_score import Validation

# Fewer steps than these show nothing; and the first rounds only learn what is popular, which may look like an end.
MIN_STEPS = 100
MIN_ROUNDS = 8
LAYERS = {"sasrec": SASRecTransformerLayers, "esasrec": LiGRLayers}


class LikeLengths(SASRecDataPreparator):
    """RecTools' preparation with batches of like length and one set of negatives a batch."""

    def get_dataloader_train(self) -> DataLoader:
        """Histories sorted by length within chunks of 32 shuffled batches; the batches shuffled again."""
        sequences = SequenceDataset.from_interactions(self.train_dataset.interactions.df)
        lengths = np.array([len(session) for session in sequences.sessions])
        sampler = Batches(lengths, self.batch_size)
        return DataLoader(sequences, collate_fn=self._collate_fn_train, batch_sampler=sampler)

    def _collate_fn_train(self, batch: list[Any]) -> dict[str, torch.Tensor]:
        tensors = self._tight(
            super()._collate_fn_train, batch, max(len(session) for session, *_ in batch) - 1
        )
        count = min(self.n_negatives, self.item_id_map.size - self.n_item_extra_tokens)
        drawn = torch.randint(self.n_item_extra_tokens, self.item_id_map.size, (count,))
        tensors["negatives"] = drawn
        return tensors

    def _collate_fn_recommend(self, batch: list[Any]) -> dict[str, torch.Tensor]:
        longest = min(max(len(session) for session, *_ in batch), self.session_max_len)
        return self._tight(super()._collate_fn_recommend, batch, longest)

    def _tight(self, collate: Any, batch: list[Any], longest: int) -> dict[str, torch.Tensor]:
        whole, sampler = self.session_max_len, self.negative_sampler
        self.session_max_len, self.negative_sampler = longest, None
        try:
            return collate(batch)
        finally:
            self.session_max_len, self.negative_sampler = whole, sampler


class SharedNegatives(TransformerLightningModule):
    """Sampled softmax over each real position's target and the batch's negatives."""

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        """Mean cross entropy, weighted by the events' weights."""
        items_ND = self.torch_model.item_model.get_all_embeddings()
        session_BLD = self.torch_model.encode_sessions(batch, items_ND)
        real = batch["y"] != 0
        session_PD, target_P, weight_P = session_BLD[real], batch["y"][real], batch["yw"][real]
        negatives_K = batch["negatives"]
        own_P1 = (session_PD * items_ND[target_P]).sum(-1, keepdim=True)
        other_PK = (session_PD @ items_ND[negatives_K].T).masked_fill(
            negatives_K[None, :] == target_P[:, None], float("-inf")
        )
        loss_P = torch.logsumexp(torch.cat([own_P1, other_PK], dim=1), dim=1) - own_P1[:, 0]
        return (loss_P * weight_P).sum() / weight_P.sum()


class AfterEpoch(Callback):
    """Calls back after each epoch with the number of epochs done; ends the training when told so."""

    def __init__(self, react: Any) -> None:
        self.react = react

    def __deepcopy__(self, memo: dict[int, Any]) -> "AfterEpoch":
        # RecTools copies its trainer before each fit; what this one reports to must stay the same.
        return self

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        trainer.should_stop = self.react(trainer.current_epoch + 1)
        pl_module.train()


class Run:
    """One training of one model on the request's events."""

    def __init__(self, folder: Path, request: dict[str, Any], settings: dict[str, Any]) -> None:
        seed_everything(request["seed"], verbose=False)
        self.folder, self.request, self.settings = folder, request, settings
        self.events = pl.read_parquet(folder / "events.parquet")
        self.max_len = int(settings["max_len"])
        learned = self.events.filter(~pl.col("read_only"))
        frame = _interactions(learned, self.max_len, request["users"])
        # Long pieces and short ones alike: about as many positions, so as many steps for a number of events.
        histories = frame[Columns.User].nunique()
        self.batch = max(round(settings["positions"] * histories / len(frame)), 8)
        # A round is what is scored: an epoch, or several where a small log has few steps in one.
        self.epochs_a_round = -(-MIN_STEPS // -(-histories // self.batch))
        self.dataset = self.everyone = Dataset.construct(frame)
        if len(learned) < len(self.events):
            self.everyone = Dataset.construct(_interactions(self.events, self.max_len, request["users"]))
        self.model = self._model()

    def _model(self) -> SASRecModel:
        settings = self.settings
        return SASRecModel(
            n_blocks=settings["blocks"],
            n_heads=settings["heads"],
            n_factors=settings["factors"],
            dropout_rate=settings["dropout"],
            session_max_len=self.max_len,
            loss="sampled_softmax",
            n_negatives=settings["negatives"],
            lr=settings["lr"],
            batch_size=self.batch,
            use_key_padding_mask=True,
            item_net_block_types=(IdEmbeddingsItemNet,),
            transformer_layers_type=LAYERS[self.request["model"]],
            data_preparator_type=LikeLengths,
            lightning_module_type=SharedNegatives,
            recommend_torch_device="cpu",
        )

    def train(self, epochs: int, react: Any) -> None:
        """At most ``epochs``; after each ``react(epochs done)``, which says whether to stop."""
        self.model._trainer = Trainer(
            max_epochs=epochs,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[AfterEpoch(react)],
        )
        self.model.fit(self.dataset)

    def vectors(self, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(U, d) of ``users`` (others NaN) and (m, d); what training did not meet is NaN."""
        known = users[np.isin(users, self.everyone.user_id_map.external_ids)]
        recommend = self.model.data_preparator.transform_dataset_u2i(self.everyone, known)
        loader = self.model.data_preparator.get_dataloader_recommend(recommend, 256)
        user_BD, item_BD = self.model.lightning_model._get_user_item_embeddings(loader, "cpu")
        place = recommend.user_id_map.get_external_sorted_by_internal().astype(np.int64)
        extra = self.model.data_preparator.n_item_extra_tokens
        items = self.model.data_preparator.get_known_item_ids().astype(np.int64)
        every_user = np.full((self.request["users"], user_BD.shape[1]), np.nan, np.float32)
        every_item = np.full((self.request["items"], item_BD.shape[1]), np.nan, np.float32)
        every_user[place] = user_BD.numpy()
        every_item[items] = item_BD.numpy()[extra:]
        return every_user, every_item


def run(folder: Path, request: dict[str, Any]) -> None:
    """``task`` "choose" tries settings and epochs on held-out targets; "fit" keeps the vectors of some epochs."""
    torch.set_num_threads(request["threads"])
    if request["task"] == "choose":
        choose(folder, request)
    else:
        fit(folder, request)


def choose(folder: Path, request: dict[str, Any]) -> None:
    """Leaves choice.json: for each setting the NDCG@10 of each round under both seen rules, and the seconds."""
    validation = Validation.read(folder)
    curves = []
    for settings in request["settings"]:
        one = Run(folder, request, settings)
        curve = Curve(one, validation, request["patience"], request["seconds"] / len(request["settings"]))
        one.train(request["rounds"] * one.epochs_a_round, curve)
        curves.append(
            {"settings": settings, "curve": curve.values, "seconds": time.process_time() - curve.start}
        )
    (folder / "choice.json").write_text(json.dumps(curves), encoding="utf-8")


class Curve:
    """
    Scores a run after each round; stops it when neither rule has improved for a while or its time is spent.

    Seconds are those of the processors, of all threads together: a busy machine must not weaken the model.
    """

    def __init__(self, one: Run, validation: Validation, patience: int, seconds: float) -> None:
        self.one, self.validation, self.patience, self.seconds = one, validation, patience, seconds
        self.start = time.process_time()
        self.values: list[dict[str, float]] = []

    def __call__(self, epoch: int) -> bool:
        if epoch % self.one.epochs_a_round:
            return False
        self.values.append({"epoch": epoch, **self.validation.ndcg(*self.one.vectors(self.validation.users))})
        done = len(self.values)
        since = [done - 1 - int(np.argmax([value[rule] for value in self.values])) for rule in ("new", "all")]
        spent = time.process_time() - self.start
        # Another round must fit in: it takes about as long as the mean of those before.
        stale = done >= MIN_ROUNDS and min(since) >= self.patience
        return stale or spent * (done + 1) / done > self.seconds


def fit(folder: Path, request: dict[str, Any]) -> None:
    """Leaves the vectors of all users and items after each of the epochs asked for."""
    one = Run(folder, request, request["settings"][0])
    everyone = one.events["user"].unique().sort().to_numpy()

    def react(epoch: int) -> bool:
        if epoch in request["keep"]:
            user_BD, item_BD = one.vectors(everyone)
            np.save(folder / f"users-{epoch}.npy", user_BD)
            np.save(folder / f"items-{epoch}.npy", item_BD)
        return False

    one.train(max(request["keep"]), react)


def _interactions(events: pl.DataFrame, max_len: int, users: int) -> pd.DataFrame:
    """RecTools' frame of the pieces. Order is all that counts, and rows are in order: a second apart each."""
    cut = pieces(events, max_len + 1, users)
    seconds = pd.to_timedelta(np.arange(len(cut)), unit="s")
    return pd.DataFrame(
        {
            Columns.User: cut["user"].to_numpy(),
            Columns.Item: cut["item"].to_numpy(),
            Columns.Weight: cut["weight"].to_numpy(),
            Columns.Datetime: pd.Timestamp(0) + seconds,
        }
    )
