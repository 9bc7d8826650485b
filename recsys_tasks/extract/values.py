"""Raw values -> the house's types: ids and texts, instants, numbers. Pure expressions; what does not fit is null."""

import polars as pl

UTC_TIME = pl.Datetime("us", "UTC")
ZONED = r"^(.*\d)\s*(Z|z|[+-]\d{2}:?\d{2}|[+-]\d{2})$"
FORMATS = ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d")
EXACT_IN_FLOAT = float(2**53)


def text_of(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """As people write it: 12345.0 is "12345"; outer blanks are gone."""
    if dtype.is_float():
        number = column.fill_nan(None)
        whole = (number == number.floor()) & (number.abs() < EXACT_IN_FLOAT)
        column = (
            pl.when(whole)
            .then(number.cast(pl.Int64, strict=False).cast(pl.String))
            .otherwise(number.cast(pl.String))
        )
    elif dtype.is_decimal():
        column = column.cast(pl.String).str.replace(r"\.0+$", "")
    return column.cast(pl.String, strict=False).str.strip_chars()


def optional_text_of(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """As ``text_of``; an empty text says nothing and is null."""
    value = text_of(column, dtype)
    return pl.when(value != "").then(value)


def number_of(column: pl.Expr, dtype: pl.DataType, wanted: pl.DataType) -> pl.Expr:
    """A number, also where the source keeps it as text; NaN is null."""
    if dtype == pl.String:
        column = column.str.strip_chars().cast(pl.Float64, strict=False)
    elif dtype.is_float():
        column = column.fill_nan(None)
    return column.cast(wanted, strict=False)


def is_readable_time(dtype: pl.DataType) -> bool:
    """Whether ``instant_of`` knows the type; numbers since some epoch are not guessed at."""
    return dtype in (pl.String, pl.Date, pl.Null) or isinstance(dtype, pl.Datetime)


def instant_of(column: pl.Expr, dtype: pl.DataType, zone: str) -> pl.Expr:
    """
    UTC from a timestamp, a date or ISO text, with or without zone; without, it is read in ``zone``.

    A local time that the clocks show twice is its first showing; one they skip is read as if they had not been
    put forward yet.
    """
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        return column.dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    if dtype == pl.String:
        return _from_text(column.str.strip_chars(), zone)
    return _in_zone(column.cast(pl.Datetime("us"), strict=False), zone)


def _from_text(column: pl.Expr, zone: str) -> pl.Expr:
    offset = column.str.extract(ZONED, 2)
    # A bare date ends in -DD, which looks like an offset.
    is_zoned = offset.is_not_null() & column.str.contains(":", literal=True)
    clock = pl.when(is_zoned).then(column.str.extract(ZONED, 1)).otherwise(column)
    local = _clock(clock)
    zoned = (local - _shift(offset)).dt.replace_time_zone("UTC")
    return pl.when(is_zoned).then(zoned).otherwise(_in_zone(local, zone))


def _clock(column: pl.Expr) -> pl.Expr:
    plain = column.str.strip_chars().str.replace(r"[Tt]", " ")
    return pl.coalesce(*(plain.str.to_datetime(form, time_unit="us", strict=False) for form in FORMATS))


def _shift(offset: pl.Expr) -> pl.Expr:
    digits = offset.str.replace_all(r"[^0-9]", "")
    hours = digits.str.slice(0, 2).cast(pl.Int32, strict=False).fill_null(0)
    minutes = digits.str.slice(2, 2).cast(pl.Int32, strict=False).fill_null(0)
    sign = pl.when(offset.str.starts_with("-")).then(-1).otherwise(1)
    return pl.duration(minutes=sign * (hours * 60 + minutes))


def _in_zone(local: pl.Expr, zone: str) -> pl.Expr:
    def as_utc(clock: pl.Expr) -> pl.Expr:
        known = clock.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        return known.dt.convert_time_zone("UTC")

    # An hour later the clocks have been put forward: the same instant as an hour after the step.
    return pl.coalesce(as_utc(local), as_utc(local + pl.duration(hours=1)))
