"""What a step is handed: settings, night, places, the operator's choices."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Literal

from recsys_tasks.calendar import Night, require_past
from recsys_tasks.errors import SettingsError
from recsys_tasks.lake.past import PastLake
from recsys_tasks.lake.tables import Lake
from recsys_tasks.settings import Settings, load_settings
from recsys_tasks.steps import NIGHT_STEPS
from recsys_tasks.steps.pin import Accepted, Pin
from recsys_tasks.store.store import Store, open_store
from recsys_tasks.workspace import Workspace

Start = Literal["warm", "scratch"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the form and the command line let an operator choose for one run."""

    from_step: str | None = None
    """Earlier steps are not run: what they made for this night is used as it is."""
    top_k: int | None = None
    publish: Literal["live", "dry_run"] = "live"
    start: Start = "warm"
    """Whether models start from the newest accepted model of an earlier night."""
    run_id: str = "by-hand"
    lists: str | None = None
    """The artefact that is published; else the lists that the night's latest run made."""

    def __post_init__(self) -> None:
        if self.from_step is not None and self.from_step not in NIGHT_STEPS:
            raise SettingsError(
                f"from_step {self.from_step!r} is no step; choose one of {', '.join(NIGHT_STEPS)}"
            )
        if self.top_k is not None and not 1 <= self.top_k <= 500:
            raise SettingsError(f"top_k {self.top_k} is out of range; choose 1 to 500")

    def skips(self, step: str) -> bool:
        """Whether the operator starts behind this step."""
        return self.from_step is not None and NIGHT_STEPS.index(step) < NIGHT_STEPS.index(self.from_step)


@dataclass(frozen=True)
class Job:
    """One night of one shop, opened."""

    settings: Settings
    night: Night
    options: Options = field(default_factory=Options)
    pin: Pin | None = None
    """What the night's pairs found; a step behind them sees nothing newer."""

    @cached_property
    def workspace(self) -> Workspace:
        return Workspace(self.settings.home)

    @cached_property
    def lake(self) -> Lake:
        folder = self.workspace.lake
        return Lake(folder) if self.pin is None else PastLake(folder, at=self.pin.lake)

    @cached_property
    def store(self) -> Store:
        return open_store(self.settings.database, self.workspace.postgres)

    @property
    def accepted(self) -> Accepted | None:
        """The newest accepted model of an earlier night."""
        if self.pin is not None:
            return self.pin.champion
        decision = self.store.champion_before(self.night)
        return None if decision is None else Accepted(decision.night, dict(decision.refs))

    @property
    def top_k(self) -> int:
        return self.options.top_k or self.settings.top_k


def open_job(night: str, options: Options | None = None) -> Job:
    """Load the settings and check that the night is one that has ended."""
    settings = load_settings()
    job = Job(settings, settings.night(night), options or Options())
    require_past(job.night, datetime.now(UTC))
    return job
