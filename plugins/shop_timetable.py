"""When a shop's nights run: a cron schedule in the shop's zone that ends with its last night."""

from datetime import datetime
from typing import Any

from airflow.plugins_manager import AirflowPlugin
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction, Timetable
from airflow.timetables.interval import CronDataIntervalTimetable


class ShopTimetable(CronDataIntervalTimetable):
    """
    ``cron`` in a zone, one data interval after the other, as long as they begin by ``last``; None: for ever.

    A DAG's ``end_date`` would end more: Airflow hands it down to every task and leaves them out of any later run, so
    that a run by hand is green and has done nothing.
    """

    def __init__(self, cron: str, timezone: Any, last: datetime | None = None) -> None:
        super().__init__(cron, timezone)
        self.last = last

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """The next run of the schedule; None behind the last night."""
        info = super().next_dagrun_info(
            last_automated_data_interval=last_automated_data_interval, restriction=restriction
        )
        ended = info is not None and self.last is not None and info.data_interval.start > self.last
        return None if ended else info

    def serialize(self) -> dict[str, Any]:
        return {**super().serialize(), "last": None if self.last is None else self.last.isoformat()}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> Timetable:
        made = super().deserialize(data)
        assert isinstance(made, cls)
        made.last = None if data["last"] is None else datetime.fromisoformat(data["last"])
        return made


class ShopTimetablePlugin(AirflowPlugin):
    """Makes the timetable known to scheduler and API server, which read DAGs from the database."""

    name = "shop_timetable"
    timetables = [ShopTimetable]  # noqa: RUF012 (Airflow's own form)
