"""What the lake tells each of many nights: as ``Lake.state``, the log's records and the catalogue read once for all."""

from recsys_tasks.calendar import Night
from recsys_tasks.lake.tables import Lake
from recsys_tasks.workspace import fingerprint_of


class States:
    """The lake as it is now, for nights up to ``last``."""

    def __init__(self, lake: Lake, last: Night) -> None:
        self._days = lake.fingerprints(last)
        self._catalogues = lake.catalogue_hashes()

    def days(self, night: Night) -> dict[str, str]:
        """ISO date -> fingerprint of the days that the night reads."""
        return {day: found for day, found in self._days.items() if day <= str(night)}

    def of(self, night: Night) -> dict[str, str]:
        """The two hashes of ``Lake.state``."""
        return {"events": fingerprint_of(self.days(night)), "items": self._catalogues.at(night.as_of)}
