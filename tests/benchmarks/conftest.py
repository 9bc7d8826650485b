"""The lake of one small shop, made once and only read."""

import pytest

from benchmarks.home import Home
from tests.benchmarks.shop import bench_home, bench_shop
from tests.shop import Shop


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return bench_shop(tmp_path_factory.mktemp("bench") / "shop")


@pytest.fixture(scope="session")
def home(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Home:
    return bench_home(shop, tmp_path_factory.mktemp("homes"))
