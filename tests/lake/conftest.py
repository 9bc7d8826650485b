from pathlib import Path

import pytest

from recsys_tasks.lake.tables import Lake


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")
