"""
The run that one training has in each tracker: TensorBoard, Weights & Biases, MLflow.

A training that goes on after it was broken off finds its run again, and no step stands in it twice. What is told goes
to the tracker at once; whoever calls decides what an error costs.
"""

import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from recsys_tasks.addresses import without_secrets

log = logging.getLogger("finetune")

Status = Literal["FINISHED", "FAILED", "KILLED"]

# Experiment of MLflow and project of W&B, where their own variables name no other.
PROJECT = "encoder"
# MLflow takes a hundred in one call; older servers take values of so many characters.
SETTINGS_A_CALL, SETTING_CHARACTERS = 100, 500
# Of an error's message, in a warning: some quote whole pages.
MESSAGE_CHARACTERS = 400


@dataclass(frozen=True)
class Run:
    """What a tracker shows of a training; ``request`` is the same for a training and for one that goes on from it."""

    folder: Path
    """The night's, where trackers that write files do so; its name is the run's."""
    request: str
    settings: Mapping[str, str | int | float | bool | None]

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def key(self) -> str:
        """A night may train twice, from an earlier encoder and then from the base: each has a run."""
        return f"{self.name}-{self.request[:8]}"


class Tracker(Protocol):
    def begin(self, run: Run, first: int) -> None:
        """Open the run, or take it up again; the first step to come is ``first``. May be called again if it raised."""

    def tell(self, step: int, figures: Mapping[str, float]) -> None: ...

    def end(self, status: Status) -> None: ...


class TensorBoard:
    """Files in a folder of the run's own. Readers leave out what a killed process told of steps that come again."""

    def begin(self, run: Run, first: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = run.folder / f"{PROJECT}-{run.request[:8]}"
        self._writer = SummaryWriter(folder, purge_step=first)
        if first == 0:
            rows = "\n".join(f"| {name} | {value} |" for name, value in run.settings.items())
            self._writer.add_text("settings", f"| setting | value |\n| --- | --- |\n{rows}", 0)

    def tell(self, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def end(self, status: Status) -> None:
        self._writer.close()


class Wandb:
    """
    A run of W&B, in files only where its server or the key is missing.

    wandb keeps its own queue: a network that fails later costs nothing until the end.
    """

    # What wandb shows as finished, failed and killed.
    EXIT_CODES: Mapping[Status, int] = {"FINISHED": 0, "FAILED": 1, "KILLED": 255}
    # Seconds a night waits for a server that does not answer; and nothing is told but the curves.
    DEFAULTS: Mapping[str, str] = {
        "WANDB_INIT_TIMEOUT": "30",
        "WANDB_FINISH_TIMEOUT": "60",
        "WANDB_CONSOLE": "off",
        "WANDB_DISABLE_GIT": "true",
    }

    def begin(self, run: Run, first: int) -> None:
        _default(self.DEFAULTS)
        import wandb

        # wandb leaves a folder that does not exist for one of its own.
        run.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._run = self._opened(run, mode=None)
        except wandb.Error as error:
            log.warning(
                "encoder.trackers: wandb keeps this run in %s/wandb until `wandb sync` sends it: %s",
                run.folder,
                in_a_line(error),
            )
            # What the first try has begun would hold the run's id.
            wandb.teardown()
            self._run = self._opened(run, mode="offline")
        # That of the next step, where the run goes on; without a network nothing is known of what was told before.
        self._next = self._run.step

    @staticmethod
    def _opened(run: Run, mode: Literal["offline"] | None) -> Any:
        import wandb

        return wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=run.key,
            resume="allow",
            name=run.name,
            dir=str(run.folder),
            config=dict(run.settings),
            mode=mode,
        )

    def tell(self, step: int, figures: Mapping[str, float]) -> None:
        if step >= self._next:
            self._run.log(dict(figures), step=step)

    def end(self, status: Status) -> None:
        self._run.finish(exit_code=self.EXIT_CODES[status])


class Mlflow:
    """
    A run on the server that MLFLOW_TRACKING_URI names, or in one file for all nights, beside their folders.

    Through the client: ``mlflow.start_run`` would call every run that a process leaves open FINISHED.
    """

    # A server that refuses costs some 15 seconds, one that is silent a minute; by MLflow's own values it is more.
    DEFAULTS: Mapping[str, str] = {
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    KEY = "training"

    def begin(self, run: Run, first: int) -> None:
        _default(self.DEFAULTS)
        from mlflow import MlflowClient

        beside = run.folder.parent.absolute()
        beside.mkdir(parents=True, exist_ok=True)
        server = os.environ.get("MLFLOW_TRACKING_URI")
        self._client = MlflowClient(server or f"sqlite:///{beside / 'mlflow.db'}")
        experiment = self._experiment(None if server else (beside / "mlruns").as_uri())
        self._run_id = self._found(experiment, run.key)
        if self._run_id is None:
            created = self._client.create_run(experiment, run_name=run.name, tags={self.KEY: run.key})
            self._run_id = created.info.run_id
        self._client.update_run(self._run_id, status="RUNNING")
        self._store(run.settings)
        told = self._client.get_metric_history(self._run_id, "loss")
        self._next = max((point.step + 1 for point in told), default=0)

    def tell(self, step: int, figures: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        # MLflow would keep both values of a step that comes again.
        if step < self._next:
            return
        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, value in figures.items()]
        self._client.log_batch(self._run_id, metrics=metrics)

    def end(self, status: Status) -> None:
        self._client.set_terminated(self._run_id, status)

    def _experiment(self, files: str | None) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        found = self._client.get_experiment_by_name(name)
        number: str = found.experiment_id if found else self._client.create_experiment(name, files)
        return number

    def _found(self, experiment: str, key: str) -> Any:
        """The run of a training that was broken off."""
        runs = self._client.search_runs([experiment], f"tags.{self.KEY} = '{key}'", max_results=1)
        return runs[0].info.run_id if runs else None

    def _store(self, settings: Mapping[str, object]) -> None:
        from mlflow.entities import Param

        params = [Param(name, str(value)[:SETTING_CHARACTERS]) for name, value in settings.items()]
        for start in range(0, len(params), SETTINGS_A_CALL):
            self._client.log_batch(self._run_id, params=params[start : start + SETTINGS_A_CALL])


def in_a_line(error: Exception) -> str:
    """An error's message for a warning, short and without secrets."""
    return " ".join(without_secrets(str(error)).split())[:MESSAGE_CHARACTERS]


TRACKERS: Mapping[str, type[Tracker]] = {"tensorboard": TensorBoard, "wandb": Wandb, "mlflow": Mlflow}


def _default(variables: Mapping[str, str]) -> None:
    """What an operator has set stays."""
    for name, value in variables.items():
        os.environ.setdefault(name, value)
