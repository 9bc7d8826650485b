"""Sources that come damaged, in another encoding or in another shape overnight: named, and the lake as it was."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from recsys_tasks.errors import RecsysError, SchemaMismatch, SourceError, TooManyBadRows
from tests.faults.file_shop import MONDAY, TUESDAY, FileShop, file_shop, rows_of


@pytest.fixture
def parquet_shop(tmp_path, monkeypatch) -> FileShop:
    return file_shop(tmp_path, monkeypatch, "parquet")


@pytest.fixture
def csv_shop(tmp_path, monkeypatch) -> FileShop:
    return file_shop(tmp_path, monkeypatch, "csv")


def stopped_then_mended(shop: FileShop, error: type[RecsysError], says: str) -> None:
    """Tuesday's file stops the night with these words, Monday stays; a good file and a rerun finish the night."""
    before = shop.seen()
    with pytest.raises(error, match=says) as raised:
        shop.extract(TUESDAY)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 600
    assert shop.seen() == before == ([MONDAY], 40)
    shop.write(TUESDAY, rows_of(TUESDAY))
    assert shop.extract(TUESDAY)["events"] == 80
    assert shop.seen() == ([MONDAY, TUESDAY], 80)


def flipped(content: bytes) -> bytes:
    """As a bad disk gives it back: some bytes of the column chunks turned."""
    middle = len(content) // 3
    return (
        content[:middle]
        + bytes(byte ^ 0xFF for byte in content[middle : middle + 60])
        + content[middle + 60 :]
    )


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut in half": lambda content: content[: len(content) // 2],
    "without its end": lambda content: content[:-4],
    "empty": lambda _content: b"",
    "another kind of file": lambda _content: b"<html>502 Bad Gateway</html>",
    "turned bytes": flipped,
    "zeros": lambda content: content[:4] + bytes(len(content) - 12) + content[-8:],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_parquet_file_is_named(parquet_shop, damage):
    file = parquet_shop.write(TUESDAY, rows_of(TUESDAY))
    file.write_bytes(DAMAGE[damage](file.read_bytes()))
    stopped_then_mended(
        parquet_shop, SourceError, r"2026-03-03\.parquet cannot be read .*export or copy it again"
    )


def text(rows: str = "", header: str = "who,what,did,at,paid") -> str:
    return f"{header}\nann,tent,sale,2026-03-03 12:00:00,1\n{rows}"


ENCODINGS = {
    "latin-1": (
        text("jörg,tent,sale,2026-03-03 12:00:00,1\n").encode("latin-1"),
        "line 3 is not UTF-8; save it",
    ),
    "gbk": (
        text("张伟,tent,sale,2026-03-03 12:00:00,1\n").encode("gbk"),
        "line 3 is not UTF-8; save it as UTF-8",
    ),
    "utf-16": (text().encode("utf-16"), r"is UTF-16; save it as UTF-8"),
    "cut inside a letter": (text("j").encode() + "ö".encode()[:1], "line 3 is not UTF-8"),
    "an open quote": (text('"ann,tent,sale,2026-03-03 12:00:00,1\n').encode(), "cannot be read"),
    "more fields": (text("ann,tent,sale,2026-03-03 12:00:00,1,2,3\n").encode(), "cannot be read"),
    "empty": (b"", "cannot be read"),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_csv_file_in_another_encoding_is_named(csv_shop, encoding):
    content, says = ENCODINGS[encoding]
    csv_shop.file(TUESDAY).write_bytes(content)
    stopped_then_mended(csv_shop, SourceError, rf"2026-03-03\.csv.*{says}")


def test_a_byte_order_mark_and_foreign_line_ends_are_no_fault(csv_shop):
    csv_shop.file(TUESDAY).write_bytes(text().replace("\n", "\r\n").encode("utf-8-sig"))
    csv_shop.extract(TUESDAY)
    assert csv_shop.seen() == ([MONDAY, TUESDAY], 41)


@pytest.mark.parametrize("column", ["who", "what", "did", "at", "paid"])
@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_column_that_is_gone_is_named_with_its_file(tmp_path, monkeypatch, kind, column):
    shop = file_shop(tmp_path, monkeypatch, kind)
    shop.write(TUESDAY, rows_of(TUESDAY).drop(column))
    stopped_then_mended(
        shop,
        SchemaMismatch,
        rf"2026-03-03\.{kind} has no column '{column}' .*correct sources\.events\.columns\.",
    )


@pytest.mark.parametrize(
    ("column", "says"),
    [
        (
            {"at": pl.col("at").dt.epoch("s")},
            r"2026-03-03\.parquet: column 'at' holds Int64.*correct sources\.events",
        ),
        (
            {"at": pl.col("at").dt.strftime("%d.%m.%Y")},
            r"2026-03-03\.parquet: column 'at' holds String, but Datetime",
        ),
        (
            {"who": pl.col("paid")},
            r"2026-03-03\.parquet: column 'who' holds Float64, but String in .*2026-03-02",
        ),
        ({"paid": pl.lit("9,50")}, r"2026-03-03\.parquet: column 'paid' holds String, but Float64"),
    ],
)
def test_a_column_of_another_type_is_named_with_its_file(parquet_shop, column, says):
    parquet_shop.write(TUESDAY, rows_of(TUESDAY, **column))
    stopped_then_mended(parquet_shop, SchemaMismatch, says)


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_changes_that_mean_no_harm_pass(tmp_path, monkeypatch, kind):
    shop = file_shop(tmp_path, monkeypatch, kind)
    changed = rows_of(TUESDAY, who=pl.int_range(40), paid=pl.lit(9), channel=pl.lit("web"))
    shop.write(TUESDAY, changed.select("channel", "paid", "at", "did", "what", "who"))
    shop.extract(TUESDAY)
    assert shop.seen() == ([MONDAY, TUESDAY], 80)


def test_a_few_rows_of_a_new_event_type_are_quarantined_with_their_reason(parquet_shop, tmp_path: Path):
    new = pl.when(pl.int_range(40) == 7).then(pl.lit("gift")).otherwise("did")
    parquet_shop.write(TUESDAY, rows_of(TUESDAY, did=new))
    assert parquet_shop.extract(TUESDAY)["rejected"] == {"event_type|unknown": 1}
    kept = pl.read_parquet(tmp_path / "home" / "quarantine" / "events" / "2026-03-02_2026-03-03.parquet")
    assert kept["reason"].to_list() == ["event_type|unknown"]
    assert '"did": "gift"' in kept["row"][0]
    assert parquet_shop.seen() == ([MONDAY, TUESDAY], 79)


def test_a_log_full_of_a_new_event_type_stops_the_night(parquet_shop):
    parquet_shop.write(TUESDAY, rows_of(TUESDAY, did=pl.lit("gift")))
    stopped_then_mended(
        parquet_shop,
        TooManyBadRows,
        r"40 of 80 events rows .*event_type\|unknown 40; rows of each reason are in",
    )


def test_numbers_with_a_comma_in_a_csv_file_are_quarantined(csv_shop):
    csv_shop.write(TUESDAY, rows_of(TUESDAY, paid=pl.lit("9,50")))
    stopped_then_mended(csv_shop, TooManyBadRows, r"40 of 80 events rows .*value\|unreadable 40")


def test_one_odd_number_in_a_csv_file_costs_one_row(csv_shop):
    odd = pl.when(pl.int_range(40) == 7).then(pl.lit("n/a")).otherwise(pl.lit("9.5"))
    csv_shop.write(TUESDAY, rows_of(TUESDAY, paid=odd))
    assert csv_shop.extract(TUESDAY)["rejected"] == {"value|unreadable": 1}
    assert csv_shop.seen() == ([MONDAY, TUESDAY], 79)
