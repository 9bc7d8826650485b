"""As much of MLflow and wandb as a training asks for, for machines that have neither."""

import sys
from collections import namedtuple
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

Metric = namedtuple("Metric", "key value timestamp step")
Param = namedtuple("Param", "key value")


class MlflowClient:
    """Keeps what it is told by the address it is made for; values of a step that comes again stand twice."""

    stores: ClassVar[dict[str, "MlflowClient"]] = {}

    def __new__(cls, tracking_uri: str) -> "MlflowClient":
        if tracking_uri not in cls.stores:
            one = cls.stores[tracking_uri] = super().__new__(cls)
            one.experiments, one.runs = {}, {}
        return cls.stores[tracking_uri]

    def get_experiment_by_name(self, name: str) -> Any:
        return self.experiments.get(name)

    def create_experiment(self, name: str, artifact_location: str | None = None) -> str:
        self.experiments[name] = SimpleNamespace(
            experiment_id=str(len(self.experiments)), artifact_location=artifact_location
        )
        return self.experiments[name].experiment_id

    def create_run(self, experiment_id: str, run_name: str, tags: dict[str, str]) -> Any:
        info = SimpleNamespace(
            run_id=str(len(self.runs)), run_name=run_name, status="RUNNING", experiment=experiment_id
        )
        self.runs[info.run_id] = SimpleNamespace(
            info=info, data=SimpleNamespace(tags=tags, params={}), points=[]
        )
        return self.runs[info.run_id]

    def search_runs(
        self, experiment_ids: list[str], filter_string: str = "", max_results: int = 1000
    ) -> list[Any]:
        name, _, value = filter_string.removeprefix("tags.").partition(" = ")
        return [
            run
            for run in self.runs.values()
            if run.info.experiment in experiment_ids and run.data.tags.get(name, "") == value.strip("'")
        ][:max_results]

    def get_run(self, run_id: str) -> Any:
        return self.runs[run_id]

    def update_run(self, run_id: str, status: str) -> None:
        self.runs[run_id].info.status = status

    set_terminated = update_run

    def log_batch(self, run_id: str, metrics: Any = (), params: Any = ()) -> None:
        assert len(params) <= 100, "MLflow refuses more"
        self.runs[run_id].points += metrics
        self.runs[run_id].data.params |= dict(params)

    def get_metric_history(self, run_id: str, key: str) -> list[Metric]:
        return [point for point in self.runs[run_id].points if point.key == key]


class WandbError(Exception):
    """Root of wandb's errors."""


class Wandb(ModuleType):
    """``broken`` is what a run that is not offline meets; ``step`` where a run goes on."""

    Error = WandbError

    def __init__(self, broken: Exception | None = None, step: int = 0) -> None:
        super().__init__("wandb")
        self.broken, self.step = broken, step
        self.asked: list[dict[str, Any]] = []
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.exit_code: int | None = None
        self.torn_down = 0

    def init(self, **options: Any) -> "Wandb":
        self.asked.append(options)
        if self.broken is not None and options["mode"] != "offline":
            raise self.broken
        return self

    def teardown(self) -> None:
        self.torn_down += 1

    def log(self, figures: dict[str, float], step: int) -> None:
        self.logged.append((step, figures))

    def finish(self, exit_code: int) -> None:
        self.exit_code = exit_code


def install_mlflow(monkeypatch: Any) -> None:
    module, entities = ModuleType("mlflow"), ModuleType("mlflow.entities")
    module.MlflowClient, entities.Metric, entities.Param = MlflowClient, Metric, Param
    monkeypatch.setitem(sys.modules, "mlflow", module)
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
    monkeypatch.setattr(MlflowClient, "stores", {})
