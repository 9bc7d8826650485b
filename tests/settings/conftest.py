import os
from pathlib import Path

import pytest

from tests.settings.builders import SHOP


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    """Whoever runs the tests may have a shop of their own."""
    for name in [name for name in os.environ if name.startswith("RECSYS_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def shop(tmp_path) -> Path:
    file = tmp_path / "shop.yaml"
    file.write_text(SHOP)
    return file
