"""``check``, ``lake`` and ``store``: what is let in, how long it is kept, and what may go live."""

from pydantic import Field, PositiveInt

from recsys_tasks.settings.section import Section, Share


class CheckSettings(Section):
    max_rejected: Share = 0.05
    """The night stops when more than this share of its rows breaks a contract."""


class LakeSettings(Section):
    replay_days: int = Field(default=90, ge=7, le=3650)
    """How long a night can be made again from what the lake held then; ``vacuum`` keeps replaced rows that long."""


class StoreSettings(Section):
    """The audit before lists go live; lists that it refuses are kept for inspection, what was live stays live."""

    keep_generations: PositiveInt = 3
    max_short: Share = 0.01
    """Refuse where more than this share of the lists is shorter than ``top_k``."""
    max_duplicates: Share = 0.0
    """Refuse where more than this share of the rows repeats an item of its list."""
    max_unknown: Share = 0.0
    """Refuse where more than this share of the rows holds an item that the night's catalogue lacks."""
    max_unavailable: Share = 0.0
    """Refuse where more than this share of the rows holds an item that is blocked or not available."""
    max_shrink: Share = 0.2
    """Refuse lists that have this much fewer rows than what is live."""
    max_churn: Share = 0.95
    """Refuse where more than this share of a shopper's items, on average, is not in the live list."""
    max_coverage_drop: Share = 0.8
    """Refuse lists that show this much less of the catalogue than the live ones."""
    max_fallback_rise: Share = 0.3
    """Refuse where the share of fallback lists is this much above that of the live lists."""
