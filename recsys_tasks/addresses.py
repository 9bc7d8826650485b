"""
URLs of databases: read from the environment, and shown or quoted without a secret.

A password with an unescaped ``@`` still parses, but a part of it becomes the host and would be printed as such; so
such a URL is refused before anything else looks at it.
"""

import os
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from recsys_tasks.errors import SettingsError

HIDDEN = "***"
SECRET_PARAMETER = re.compile(
    r"pass|pwd|secret|token|credential|(api|access|private)_?key|odbc_connect", re.I
)
# Where a driver repeats the URL, or the keywords it made of it.
USER_PART = re.compile(r"(://[^\s/:@]*:)[^\s@]*@")
# The whole of it: a token stands where the name would.
ANY_USER = re.compile(r"(://)[^\s/]*@")
ASSIGNED = re.compile(r"(\w*(?:password|passwd|pwd)\s*=\s*)('[^']*'|\"[^\"]*\"|[^\s;&,]+)", re.I)


def url_from_environment(key: str, variable: str, expected: str) -> URL:
    """
    The URL that the environment variable holds; ``key`` is the setting that names it, ``expected`` what it must be.

    Raises SettingsError, which names the variable and never a part of its value.
    """
    value = os.environ.get(variable, "")
    if not value:
        raise SettingsError(f"{key}: environment variable {variable} is not set; it must hold {expected}")
    url = None if _is_ambiguous(value) else _parsed(value)
    if url is None:
        raise SettingsError(
            f"{key}: the URL in {variable} cannot be read: percent-encode the password (@ as %40); "
            "expected DIALECT://USER:PASSWORD@HOST:PORT/DATABASE"
        )
    return url


def _is_ambiguous(value: str) -> bool:
    """Whether it takes guessing to say where the password ends: an ``@`` too many, or one behind a ``?``."""
    behind_scheme = value.partition("://")[2]
    place, _, query = behind_scheme.partition("?")
    has_user_part = not place.startswith("/")  # else it is a file, whose path may hold an @
    return "@" in query or (has_user_part and place.count("@") > 1)


def _parsed(value: str) -> URL | None:
    # Heroku and others hand out postgres://, which SQLAlchemy does not know.
    known = re.sub(r"^postgres(?=\+|://)", "postgresql", value)
    try:
        return make_url(known)
    except (
        ArgumentError,
        ValueError,
    ):  # ValueError: a port that is no number, which quotes a part of the URL
        return None


def without_password(url: URL) -> str:
    """The URL as it may be shown: the password is gone, wherever in the URL it stood."""
    bare = URL.create(url.drivername, url.username, None, url.host, url.port, url.database, url.query)
    return bare.difference_update_query(_secret_parameters(url)).render_as_string()


def scrubbed(message: str, url: URL) -> str:
    """A driver's message without the secrets of the URL, in whatever spelling it repeats them."""
    spellings = {spelling for secret in _secrets(url) for spelling in _spellings(secret)}
    for spelling in sorted(spellings, key=lambda text: (-len(text), text)):
        message = message.replace(spelling, HIDDEN)
    return ASSIGNED.sub(rf"\1{HIDDEN}", USER_PART.sub(rf"\1{HIDDEN}@", message))


def without_secrets(message: str) -> str:
    """A message of somebody else's, whose secrets we do not know: without users, passwords and tokens of its URLs."""
    return ASSIGNED.sub(rf"\1{HIDDEN}", ANY_USER.sub(rf"\1{HIDDEN}@", message))


def _secret_parameters(url: URL) -> list[str]:
    return [name for name in url.query if SECRET_PARAMETER.search(name)]


def _secrets(url: URL) -> Iterator[str]:
    if url.password:
        yield str(url.password)
    for name in _secret_parameters(url):
        given = url.query[name]
        yield from filter(None, [given] if isinstance(given, str) else given)


def _spellings(secret: str) -> set[str]:
    return {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1]}
