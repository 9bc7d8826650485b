"""The worker's own NDCG@10, full ranking: it cannot import the product's, which lives in another environment."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

TOP = 10
BLOCK = 512
DISCOUNT = 1 / np.log2(np.arange(2, TOP + 2))


@dataclass(frozen=True)
class Validation:
    """
    What was held out: ``targets`` (user, item, is_new), ``offered`` (m,) items that lists may hold.

    ``seen`` (E,) are the cells user * m + item of the events trained on.
    """

    targets: pl.DataFrame
    offered: np.ndarray
    seen: np.ndarray

    @classmethod
    def read(cls, folder: Path) -> "Validation":
        """From the folder's events, targets and offered."""
        offered = pl.read_parquet(folder / "offered.parquet")["offered"].to_numpy()
        events = pl.read_parquet(folder / "events.parquet").select("user", "item").unique()
        cells = events["user"].to_numpy() * len(offered) + events["item"].to_numpy()
        return cls(pl.read_parquet(folder / "targets.parquet"), offered, np.sort(cells))

    @property
    def users(self) -> np.ndarray:
        """Who has targets, sorted."""
        return self.targets["user"].unique().sort().to_numpy()

    def ndcg(self, user_UD: np.ndarray, item_MD: np.ndarray) -> dict[str, float]:
        """Mean NDCG@10 over the users with targets: "new" without seen items, "all" with them."""
        return {"new": self._ndcg(user_UD, item_MD, True), "all": self._ndcg(user_UD, item_MD, False)}

    def _ndcg(self, user_UD: np.ndarray, item_MD: np.ndarray, new_only: bool) -> float:
        targets = self.targets.filter("is_new") if new_only else self.targets
        users = targets["user"].unique().sort().to_numpy()
        if not len(users):
            return 0.0
        wanted = np.sort(targets["user"].to_numpy() * len(item_MD) + targets["item"].to_numpy())
        relevant = np.bincount(np.searchsorted(users, targets["user"].to_numpy()))
        ideal = np.concatenate([[0], np.cumsum(DISCOUNT)])[np.minimum(relevant, TOP)]
        gains = []
        for start in range(0, len(users), BLOCK):
            block = users[start : start + BLOCK]
            cells = block[:, None] * len(item_MD) + self._top(block, user_UD, item_MD, new_only)
            gains.append(np.isin(cells, wanted) @ DISCOUNT[: cells.shape[1]])
        return float(np.mean(np.concatenate(gains) / ideal))

    def _top(self, users: np.ndarray, user_UD: np.ndarray, item_MD: np.ndarray, new_only: bool) -> np.ndarray:
        score = np.nan_to_num(user_UD[users] @ item_MD.T, nan=-np.inf)
        score[:, ~self.offered] = -np.inf
        if new_only:
            for row, user in enumerate(users):
                low, high = np.searchsorted(self.seen, [user * len(item_MD), (user + 1) * len(item_MD)])
                score[row, self.seen[low:high] - user * len(item_MD)] = -np.inf
        return np.argsort(-score, axis=1, kind="stable")[:, :TOP]
