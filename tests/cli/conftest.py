import logging

import pytest


@pytest.fixture(autouse=True)
def level():
    """The command line sets how much is logged, for good."""
    logger = logging.getLogger("recsys_tasks")
    before = logger.level
    yield
    logger.setLevel(before)
