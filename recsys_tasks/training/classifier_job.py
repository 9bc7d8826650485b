"""The folder between a step and the training of the classifier: what is asked, and what comes back."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

from recsys_tasks.settings import ClassifierSettings

JOB = "job.json"
PAIRS = "pairs.parquet"
MODEL = "model"
REPORT = "report.json"
# First and last loss are means over this many steps: single batches scatter more than training moves them.
LOSS_STEPS = 10


@dataclass(frozen=True)
class ClassifierJob:
    """``pairs`` has the PurchasePairs contract; ``base`` is the folder of the model that training starts from."""

    base: Path
    settings: ClassifierSettings
    seed: int
    pairs: pl.DataFrame

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        told = {
            "base": str(self.base),
            "settings": self.settings.model_dump(mode="json"),
            "seed": self.seed,
        }
        (folder / JOB).write_text(json.dumps(told, indent=2), encoding="utf-8")
        self.pairs.write_parquet(folder / PAIRS)

    @classmethod
    def read(cls, folder: Path) -> "ClassifierJob":
        told = json.loads((folder / JOB).read_text(encoding="utf-8"))
        settings = ClassifierSettings(**told["settings"])
        return cls(Path(told["base"]), settings, told["seed"], pl.read_parquet(folder / PAIRS))


@dataclass(frozen=True)
class ClassifierReport:
    """How the training went; losses are means over the first and the last LOSS_STEPS steps."""

    loss_first: float
    loss_last: float
    steps: int

    @classmethod
    def of(cls, losses: list[float]) -> "ClassifierReport":
        first, last = np.mean(losses[:LOSS_STEPS]), np.mean(losses[-LOSS_STEPS:])
        return cls(round(float(first), 5), round(float(last), 5), len(losses))

    def write(self, folder: Path) -> None:
        (folder / REPORT).write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "ClassifierReport":
        return cls(**json.loads((folder / REPORT).read_text(encoding="utf-8")))
