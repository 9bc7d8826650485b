"""Files of one source whose columns differ -> one frame, or an error that names file and column."""

from collections.abc import Mapping

import polars as pl

from recsys_tasks.errors import SchemaMismatch


def in_one_shape(
    rows: Mapping[str, pl.LazyFrame], schemas: Mapping[str, pl.Schema], *, guessed: bool
) -> pl.LazyFrame:
    """
    The rows of all files (by name, in order); a column that a file lacks is null there.

    Whole numbers beside text become text (an id that used to be a number), numbers beside numbers the wider kind.
    ``guessed``: types come from looking at text, where one odd value makes a column text; what clashes becomes text.
    Raises SchemaMismatch for any other change of type.
    """
    texts = _texts(schemas, guessed)
    parts = [
        part.with_columns(pl.col(name).cast(pl.String) for name in texts & schemas[file].keys())
        for file, part in rows.items()
    ]
    return pl.concat(parts, how="diagonal_relaxed")


def _texts(schemas: Mapping[str, pl.Schema], guessed: bool) -> set[str]:
    """The columns that are text in one file and something else, that may be text as well, in another."""
    texts: set[str] = set()
    first: dict[str, tuple[str, pl.DataType]] = {}
    for file, schema in schemas.items():
        for name, dtype in schema.items():
            known_in, known = first.setdefault(name, (file, dtype))
            if guessed and not _fits(known, dtype):
                texts.add(name)
            elif not _fits(known, dtype):
                raise SchemaMismatch(
                    f"{file}: column {name!r} holds {dtype}, but {known} in {known_in}; export one of the two again, "
                    "or let sources.events.path or sources.items.path name files of one kind only"
                )
            if known == pl.Null:
                first[name] = (file, dtype)
            elif dtype != known and pl.String in (dtype, known):
                texts.add(name)
    return texts


def _fits(known: pl.DataType, dtype: pl.DataType) -> bool:
    if known == dtype or pl.Null in (known, dtype) or (known.is_numeric() and dtype.is_numeric()):
        return True
    return _is_id(known) and _is_id(dtype)


def _is_id(dtype: pl.DataType) -> bool:
    return dtype == pl.String or dtype.is_integer()
