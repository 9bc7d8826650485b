"""The first night of a shop with three weeks of history: nothing to train on, and lists for every shopper."""

import json

import pytest

from tests.integration.conftest import command, lists_of
from tests.shop import make_shop

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("days", [8, 20])
def test_a_young_shop_goes_live_with_popular_lists(tmp_path, encoder, days):
    shop = make_shop(tmp_path / "shop", encoder=encoder, shoppers=60, days=days)
    command(shop, "init")
    command(shop, "ingest", shop.first.isoformat(), shop.night(1))
    command(shop, "night", shop.night())
    lists = lists_of(f"sqlite:///{shop.folder}/serve.db")
    known = {line.split(",")[0] for line in (shop.folder / "log.csv").read_text().splitlines()[1:]}
    assert set(lists["user_id"]) == known
    assert lists.group_by("user_id").len()["len"].unique().to_list() == [10]
    assert lists["source"].unique().to_list() == ["popular"]
    live = json.loads(command(shop, "status", "--json").stdout)["live"]
    assert live["model"] == "popular/7-days"
    page = " ".join(command(shop, "report", shop.night()).stdout.split())
    assert "refused: there is no model of tonight, the log has no training example yet" in page
