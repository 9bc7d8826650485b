"""What must stop a night: a clear error, its exit code, and live lists that nobody touched."""

import json

import pytest

from tests.integration.conftest import NIGHT_BEFORE_LAST, command
from tests.shop import make_shop

pytestmark = pytest.mark.slow

EVENTS = "customer,sku,kind,at,paid\n"


@pytest.fixture
def shop(tmp_path, encoder):
    made = make_shop(tmp_path / "shop", encoder=encoder, shoppers=20, days=40)
    command(made, "init")
    return made


def live(shop):
    return json.loads(command(shop, "status", "--json").stdout)["live"]


def refused(shop, *arguments, code):
    message = command(shop, *arguments, code=code).stderr
    assert "Traceback" not in message
    assert live(shop) is None
    return message


def test_an_empty_night(shop):
    (shop.folder / "log.csv").write_text(EVENTS + "c1,g00,sale,2026-01-06T10:00:00,1\n")
    assert "2026-01-20" in refused(shop, "night", "2026-01-20", code=3)


def test_an_empty_catalogue(shop):
    (shop.folder / "items.csv").write_text("sku,name,department,price\n")
    assert "items" in refused(shop, "night", shop.night(), code=3)


def test_a_night_in_the_future(shop):
    assert "has not ended" in refused(shop, "night", "2999-01-01", code=3)


def test_a_night_before_the_first_event(shop):
    assert "2025-06-01" in refused(shop, "night", "2025-06-01", code=3)


def test_fewer_than_two_users(shop):
    rows = "".join(f"c1,g0{d % 8},sale,2026-01-{d:02d}T10:00:00,1\n" for d in range(5, 31))
    (shop.folder / "log.csv").write_text(EVENTS + rows)
    command(shop, "ingest", "2026-01-05", "2026-01-29")
    assert "1 user in its training events" in refused(shop, "night", "2026-01-30", code=3)


def test_too_many_rejected_rows(shop):
    text = (shop.folder / "log.csv").read_text().replace(",sale,", ",loan,", 400)
    (shop.folder / "log.csv").write_text(text)
    message = refused(shop, "ingest", shop.first.isoformat(), shop.night(NIGHT_BEFORE_LAST), code=3)
    assert "event_type" in message


def test_an_unknown_key_names_file_line_and_key(shop):
    shop.file.write_text(shop.file.read_text() + "topk: 5\n")
    message = command(shop, "status", code=2).stderr.replace("\n", "")
    assert "shop.yaml" in message
    assert "topk" in message


def test_a_missing_column_names_file_and_column(shop):
    shop.file.write_text(shop.file.read_text().replace("user_id: customer", "user_id: client"))
    message = refused(shop, "night", shop.night(), code=3)
    assert "client" in message
    assert "log.csv" in message


def test_the_database_password_is_never_shown(shop, monkeypatch):
    monkeypatch.setenv("SERVING_URL", "postgresql://shop:hunter2@127.0.0.1:1/none")
    shop.file.write_text(shop.file.read_text().replace("sqlite:///serve.db", "SERVING_URL"))
    done = command(shop, "status", code=9)
    assert "hunter2" not in done.stdout + done.stderr
