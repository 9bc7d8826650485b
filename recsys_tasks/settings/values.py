"""Values that several sections hold, each checked as it is read."""

import re
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter
from pydantic import AfterValidator, Field

ENVIRONMENT_NAME = re.compile(r"^[A-Z][A-Z0-9_]*$")

EventType = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"unknown time zone {name!r}; use an IANA name such as Europe/London") from None
    return name


def _address(value: str) -> str:
    """A SQLite URL, or the name of an environment variable: a password never stands in a file."""
    if value.startswith("RECSYS_"):
        raise ValueError("variables that begin with RECSYS_ are settings; give this one another name")
    if value.removeprefix("sqlite:///") not in (value, "") or ENVIRONMENT_NAME.match(value):
        return value
    raise ValueError(
        "expected sqlite:///FILE or the NAME of an environment variable that holds the URL "
        "(a URL with a password does not belong in this file)"
    )


def _cron(text: str) -> str:
    if not croniter.is_valid(text):
        raise ValueError(
            f"{text!r} is no cron schedule; write minute hour day month weekday, e.g. 30 3 * * *"
        )
    return text


Cron = Annotated[str, AfterValidator(_cron)]
ZoneName = Annotated[str, AfterValidator(_known_zone)]
Address = Annotated[str, AfterValidator(_address)]
Database = Annotated[str, AfterValidator(lambda value: value if value == "embedded" else _address(value))]
