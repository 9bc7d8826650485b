"""The instants that a night's ranker learns from: pure arithmetic on the night, so that the audit can look at it."""

from datetime import datetime

from recsys_tasks.calendar import Night
from recsys_tasks.pairs.audit import LearningCut
from recsys_tasks.settings import RankerSettings

CUT_EVERY_DAYS = 7
# Where too little is taken in the ranker's days, days, labels and weeks are taken this many times as long.
SCALES = (1, 2, 4, 8)

Plan = list[LearningCut]


def plans(night: Night, settings: RankerSettings) -> list[Plan]:
    """
    Every set of cuts that the night may learn from: as the settings say; the same over ever longer times, for shops
    where little is taken; last, one label's length alone, for a log too young for more.

    Base towers see nothing from the first cut of a plan on.
    """
    days, label = settings.days, settings.label_days
    return [
        *(cuts(night, days * scale, label * scale, CUT_EVERY_DAYS * scale) for scale in SCALES),
        cuts(night, label, label, CUT_EVERY_DAYS),
    ]


def cuts(night: Night, days: int, label_days: int, every: int) -> Plan:
    """Cuts from ``days`` before train_until on, oldest first; the labels of none reach beyond train_until."""

    def before(back: int) -> datetime:
        return night.days_before_end(night.gate_days + max(back, 0))

    latest = min(days, label_days)
    return [LearningCut(before(back), before(back - label_days)) for back in range(days, latest - 1, -every)]
