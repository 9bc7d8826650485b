"""Say what is wrong with a file that cannot be read, and what to do with it."""

from pathlib import Path

from recsys_tasks.errors import SourceError

UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
SAVE_AGAIN = "save it as UTF-8 and run again"


def wanting(file: str, error: Exception) -> SourceError:
    """
    The error to raise for a file of which a reader said ``error``.

    A text in another encoding is told from a damaged file: its remedy is another one.
    """
    text = str(error).strip() or type(error).__name__
    if "utf-8" in text.lower() and (place := _first_foreign_line(Path(file))):
        return SourceError(f"{file}, {place}; {SAVE_AGAIN}")
    return SourceError(
        f"{file} cannot be read ({text.splitlines()[0]}): it is damaged, cut off or still being written; "
        "export or copy it again, then run again"
    )


def require_utf_8(file: str) -> None:
    """Raise SourceError for a text file that begins as UTF-16 does: its columns would look like nonsense."""
    with Path(file).open("rb") as opened:
        if opened.read(2) in UTF_16_MARKS:
            raise SourceError(f"{file} is UTF-16; {SAVE_AGAIN}")


def _first_foreign_line(file: Path) -> str | None:
    """The first line that is no UTF-8, in words."""
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return f"line {number} is not UTF-8"
    return None
