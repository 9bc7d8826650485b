"""The gate: whether tonight's model makes tonight's lists, and why, in a sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from recsys_tasks.evaluate.bootstrap import Interval

CHALLENGER, CHAMPION, POPULAR, REPEAT = "challenger", "champion", "popular_7_days", "repeat_purchase"


@dataclass(frozen=True)
class Decision:
    """``compared`` holds NDCG@10 ahead of each rival as (difference, low, high)."""

    accepted: bool
    why: str
    slice: str
    compared: dict[str, tuple[float, float, float]]

    def facts(self) -> dict[str, Any]:
        return asdict(self)


def decide(
    evaluation: Mapping[str, Sequence[Mapping[str, Any]]],
    repeats_allowed: bool,
    tolerance: float,
    unmatched: str | None = None,
) -> Decision:
    """
    Accept the challenger if it is surely better than the popularity of 7 days and not worse than the champion.

    ``evaluation`` maps a slice to its table (``window.table``). The slice that decides is the one the shop's
    lists are for: "all" where repeats are allowed, else "new". Surely: the lower end of the paired 95 % interval
    of NDCG@10 is above 0; not worse: above minus ``tolerance``. Without a champion in the tables popularity is the
    only bar; ``unmatched`` then tells why a champion that exists is not among them.
    """
    name = deciding_slice(repeats_allowed)
    rows = {row["system"]: row for row in evaluation[name]}
    users = rows[CHALLENGER]["users"]
    if not users:
        return Decision(
            False, f"nobody took an item that counts ({name}) in the window: nothing to judge by", name, {}
        )
    compared = {rival: _ahead(rows[rival]) for rival in (POPULAR, CHAMPION) if rival in rows}
    figures = {rival: (ahead.difference, ahead.low, ahead.high) for rival, ahead in compared.items()}
    beaten = compared[POPULAR].low > 0
    kept_up = CHAMPION not in compared or compared[CHAMPION].low > -tolerance
    told = [_told(POPULAR, compared[POPULAR], beaten, "must be above 0")]
    if CHAMPION in compared:
        told.append(_told(CHAMPION, compared[CHAMPION], kept_up, f"must be above -{tolerance:g}"))
    else:
        told.append(unmatched or "popularity of 7 days is the champion")
    verdict = "accepted" if beaten and kept_up else "refused"
    why = f"{verdict} on NDCG@10 ({name}) of {users} shoppers: {'; '.join(told)}"
    return Decision(beaten and kept_up, why, name, figures)


def no_challenger(why: str, repeats_allowed: bool) -> Decision:
    """The decision of a night whose model could not be fitted."""
    return Decision(
        False, f"refused: there is no model of tonight, {why}", deciding_slice(repeats_allowed), {}
    )


def deciding_slice(repeats_allowed: bool) -> str:
    """The one that the shop's lists are for."""
    return "all" if repeats_allowed else "new"


def _ahead(row: Mapping[str, Any]) -> Interval:
    return Interval(*row["ahead_ndcg@10"])


def _told(rival: str, ahead: Interval, good: bool, bar: str) -> str:
    verdict = "clears" if good else "misses"
    words = rival.replace("_", " ")
    return (
        f"{verdict} {words} by {ahead.difference:+.4f} [{ahead.low:+.4f}, {ahead.high:+.4f}], lower end {bar}"
    )
