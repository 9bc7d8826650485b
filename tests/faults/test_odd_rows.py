"""Rows nobody expects: a million bad ones, one shopper's million events, texts and ids of every kind."""

import json
import logging
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from recsys_tasks.errors import TooManyBadRows
from recsys_tasks.extract.extracted import KEPT_PER_REASON
from recsys_tasks.schema import MAX_ID_CHARS, MAX_TEXT_CHARS
from recsys_tasks.settings import load_settings
from recsys_tasks.steps import extract_items
from recsys_tasks.steps.job import Job
from recsys_tasks.store.store import Store
from tests.faults.file_shop import MONDAY, TUESDAY, FileShop, file_shop, rows_of
from tests.store.builders import candidate, lists
from tests.tiny_encoder import tiny_encoder

MILLION = 1_000_000


@pytest.fixture
def shop(tmp_path, monkeypatch) -> FileShop:
    return file_shop(tmp_path, monkeypatch, "parquet")


def bad_rows(rows: int) -> pl.DataFrame:
    at = datetime(2026, 3, 3, 9)
    return pl.select(
        who=pl.lit("") + pl.int_range(rows).cast(pl.String),
        what=pl.lit("tent"),
        did=pl.when(pl.int_range(rows) % 2 == 0).then(pl.lit("gift")).otherwise(pl.lit("loan")),
        at=pl.lit(at),
        paid=pl.lit(9.5),
    )


@pytest.mark.slow
def test_a_million_rejected_rows_are_counted_not_kept(shop, tmp_path, caplog):
    shop.write(TUESDAY, bad_rows(MILLION))
    tracemalloc.start()
    with caplog.at_level(logging.WARNING), pytest.raises(TooManyBadRows) as raised:
        shop.extract(TUESDAY)
    _, python_peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "1000000 of 1000040 events rows" in str(raised.value)
    assert len(str(raised.value)) < 600
    assert all(len(record.getMessage()) < 600 for record in caplog.records)
    kept = tmp_path / "home" / "quarantine" / "events" / "2026-03-02_2026-03-03.parquet"
    assert pl.read_parquet(kept).height == KEPT_PER_REASON
    assert kept.stat().st_size < 5_000_000
    assert python_peak < 50_000_000, "rows became Python objects"
    assert shop.seen() == ([MONDAY], 40)
    shop.write(TUESDAY, rows_of(TUESDAY))
    shop.extract(TUESDAY)
    assert shop.seen() == ([MONDAY, TUESDAY], 80)


def test_a_day_that_comes_twice_is_one_day(shop):
    shop.write(TUESDAY, rows_of(TUESDAY))
    shop.extract(TUESDAY)
    before = shop.lake.day_record(TUESDAY)
    twice = pl.concat([rows_of(TUESDAY), rows_of(MONDAY), rows_of(TUESDAY)])
    shop.write(TUESDAY, twice)
    facts = shop.extract(TUESDAY)
    assert facts["filtered"] == {"exact duplicate": 80}
    assert shop.seen() == ([MONDAY, TUESDAY], 80)
    assert shop.lake.day_record(TUESDAY).fingerprint == before.fingerprint


ODD_IDS = [
    "o'brien",
    'say "hi"',
    "a;DROP TABLE live;--",
    "{a,b}",
    "$1 %s :x ?",
    "\\N",
    "\\.",
    "张伟",
    "🥖",
    "a,b",
    "é́",
]
REFUSED_IDS = {
    "a\0b": "user_id|regex",
    "x" * 10_000: "user_id|max_length",
    "two\nlines": "user_id|regex",
    "\x7f": "user_id|regex",
}


def test_odd_ids_come_through_the_lake_as_they_are(shop):
    rows = rows_of(TUESDAY, who=pl.Series(ODD_IDS * 4)[:40], what=pl.Series(ODD_IDS * 4)[:40])
    shop.write(TUESDAY, rows)
    assert shop.extract(TUESDAY)["rejected"] == {}
    log = shop.lake.events_between(
        datetime(2026, 3, 3, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC) + timedelta(days=1)
    )
    assert set(log["user_id"]) == set(log["item_id"]) == set(ODD_IDS)


@pytest.mark.parametrize("identity", REFUSED_IDS, ids=lambda text: repr(text[:9]))
def test_ids_that_no_database_holds_are_quarantined(shop, tmp_path, identity):
    who = pl.when(pl.int_range(40) == 3).then(pl.lit(identity)).otherwise("who")
    shop.write(TUESDAY, rows_of(TUESDAY, who=who))
    assert shop.extract(TUESDAY)["rejected"] == {REFUSED_IDS[identity]: 1}
    kept = pl.read_parquet(tmp_path / "home" / "quarantine" / "events" / "2026-03-02_2026-03-03.parquet")
    assert json.loads(kept["row"][0])["who"][:1000] == identity[:1000]
    assert len(kept["row"][0]) < 2_000
    assert shop.seen() == ([MONDAY, TUESDAY], 79)


def test_the_longest_ids_and_odd_ones_come_through_the_store(store: Store):
    ids = [*ODD_IDS, "x" * MAX_ID_CHARS, "🥖" * MAX_ID_CHARS]
    store.publish(candidate(), [lists(ids, ["tea", "a;b", "🥖" * MAX_ID_CHARS])])
    for identity in ids:
        assert [row.item_id for row in store.user_list(identity)] == ["tea", "a;b", "🥖" * MAX_ID_CHARS]


TEXTS = {
    "megabyte": "tent " * 200_000,
    "one word": "x" * 1_000_000,
    "control": "".join(map(chr, range(1, 32))) + "\x7f\u200b\ufeff",
    "chinese": "红色帐篷,适合两个人" * 50,
    "emoji": "⛺️👨‍👩‍👧‍👦🏳️‍🌈" * 50,
    "rtl": "خيمة حمراء",
    "sql": "'; DROP TABLE items; --",
    "empty": "",
}


def item_shop(folder: Path, monkeypatch: pytest.MonkeyPatch, texts: dict[str, str]) -> Job:
    file_shop(folder, monkeypatch, "parquet")
    settings = yaml.safe_load((folder / "shop.yaml").read_text())
    settings["sources"]["items"] |= {"kind": "parquet", "path": "items.parquet"}
    (folder / "shop.yaml").write_text(yaml.safe_dump(settings))
    pl.DataFrame({"sku": list(texts), "name": list(texts.values())}).write_parquet(folder / "items.parquet")
    loaded = load_settings()
    return Job(loaded, loaded.night(MONDAY.isoformat()))


def test_item_texts_of_every_kind_are_kept_and_cut_where_too_long(tmp_path, monkeypatch):
    job = item_shop(tmp_path, monkeypatch, TEXTS)
    facts = extract_items.run(job)
    assert (facts["rejected"], facts["total"]) == ({}, len(TEXTS))
    assert facts["noted"] == {"text cut": 2, "no text": 1}
    known = job.lake.catalogue(job.night.as_of)
    texts = dict(known.select("item_id", "text").rows())
    assert len(texts["one word"]) == MAX_TEXT_CHARS
    assert {name: texts[name] for name in ("chinese", "emoji", "rtl", "sql")} == {
        name: TEXTS[name] for name in ("chinese", "emoji", "rtl", "sql")
    }


def test_a_text_with_nul_is_quarantined_and_the_catalogue_goes_on(tmp_path, monkeypatch):
    many = {f"item {n}": "text" for n in range(99)}
    job = item_shop(tmp_path, monkeypatch, {**many, "bad": "te\0nt"})
    facts = extract_items.run(job)
    assert (facts["rejected"], facts["total"]) == ({"title|regex": 1}, 99)


def test_the_encoder_reads_any_text(tmp_path):
    from recsys_tasks.model.encoder import TextEncoder

    encoder = TextEncoder.load(tiny_encoder(tmp_path / "tiny"), max_tokens=16, device="cpu")
    vectors = encoder.encode([text[:MAX_TEXT_CHARS] for text in TEXTS.values()])
    assert vectors.shape[0] == len(TEXTS)
    assert np.isfinite(vectors).all()
