"""The instants that a night's ranker learns from: pure arithmetic on the night, so that the audit can look at it."""

from datetime import datetime

from recsys_tasks.calendar import Night
from recsys_tasks.pairs.audit import LearningCut
from recsys_tasks.settings import RankerSettings

# Where too little is taken in the ranker's days, those days and the labels become this many times as long.
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
        *(cuts(night, days * scale, label * scale) for scale in SCALES),
        cuts(night, label, label),
    ]


def cuts(night: Night, days: int, label_days: int) -> Plan:
    """
    Cuts of at most ``days`` before train_until, oldest first; the newest one's labels end with train_until.

    Two cuts in one label's length: twice as many were measured to teach no more.
    """

    def before(back: int) -> datetime:
        return night.days_before_end(night.gate_days + max(back, 0))

    latest, every = min(days, label_days), max(label_days // 2, 1)
    backs = range(latest, days + 1, every)
    return [LearningCut(before(back), before(back - label_days)) for back in reversed(backs)]
