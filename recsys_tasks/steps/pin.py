"""What a night found when it began: the state of the lake, and the champion. ``one_state`` says who takes it."""

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from recsys_tasks.steps import NIGHT_STEPS
from recsys_tasks.workspace import Facts

# From the pairs to the lists: what comes before writes the lake, what comes behind speaks to readers.
PINNED = NIGHT_STEPS[NIGHT_STEPS.index("build_pairs") : NIGHT_STEPS.index("recommend") + 1]


@dataclass(frozen=True)
class Accepted:
    """The model that the gate of an earlier night accepted, by its artefacts."""

    night: date
    refs: dict[str, Any]


@dataclass(frozen=True)
class Pin:
    """
    ``lake`` has the version of each table, ``state`` what they tell the night, ``champion`` the newest accepted model.

    Another version may tell the night the same: newer days are none of its business.
    """

    lake: dict[str, int]
    state: dict[str, str]
    champion: Accepted | None

    def facts(self) -> Facts:
        champion = self.champion
        told = None if champion is None else {"night": champion.night.isoformat(), "refs": champion.refs}
        return {**asdict(self), "champion": told}

    @classmethod
    def of(cls, facts: Facts) -> "Pin":
        told = facts["champion"]
        champion = None if told is None else Accepted(date.fromisoformat(told["night"]), told["refs"])
        return cls(facts["lake"], facts["state"], champion)

    def tells_the_same(self, other: "Pin") -> bool:
        return (self.state, self.champion) == (other.state, other.champion)
