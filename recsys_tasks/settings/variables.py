"""Settings from environment variables, which stand over the file: is each one a setting, and which has a fault."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from recsys_tasks.errors import SettingsError
from recsys_tasks.settings.shop import Settings
from recsys_tasks.settings.shop_yaml import Given, Loc

PREFIX = str(Settings.model_config["env_prefix"])
BETWEEN = str(Settings.model_config["env_nested_delimiter"])
SHOP_VARIABLE = f"{PREFIX}SHOP"
TUNED_VARIABLE = f"{PREFIX}TUNED"
# Variables with our prefix that are not settings.
OTHER_VARIABLES = frozenset({SHOP_VARIABLE})


def refuse_unknown_variables(file: Path) -> None:
    """pydantic-settings passes over a misspelt variable in silence; an operator at 3 a.m. must not."""
    for name, path in _variables():
        if path[0] not in Settings.model_fields:
            raise SettingsError(f"environment variable {name}: {path[0]!r} is no setting of {file.name}")


def given(loc: Loc) -> Given:
    """Whether a variable gives the setting at ``loc``, and which give parts of that section."""
    behind: list[tuple[int, str]] = []
    parts = []
    for name, path in _variables():
        value = _parsed(os.environ[name])
        rest = _rest(path, loc)
        if rest is not None and (rest or not isinstance(value, dict)):
            if _holds(value, rest):
                behind.append((len(path), name))
        elif path[: len(loc)] == loc:
            parts.append(name)
    return Given(max(behind)[1] if behind else None, sorted(parts))


def _variables() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each variable of ours that may be a setting, and where in the tree it stands; its case does not matter."""
    for name in os.environ:
        if name.upper().startswith(PREFIX) and name.upper() not in OTHER_VARIABLES:
            yield name, tuple(name[len(PREFIX) :].lower().split(BETWEEN))


def _rest(path: Sequence[str], loc: Loc) -> Loc | None:
    """What ``loc`` says beyond ``path``; none where it does not lead there."""
    for part in path:
        loc = _untagged(loc, part)
        if not loc or loc[0] != part:
            return None
        loc = loc[1:]
    return loc


def _holds(value: Any, rest: Loc) -> bool:
    """Whether a section given as JSON has the setting; what is no section is the fault itself."""
    if not rest or not isinstance(value, dict):
        return True
    rest = next((found for part in value if (found := _untagged(rest, part))[0] == part), rest)
    return rest[0] in value and _holds(value[rest[0]], rest[1:])


def _untagged(loc: Loc, part: str) -> Loc:
    """Without which of several sections was meant, which only the reader put before ``part``."""
    return loc[1:] if len(loc) > 1 and loc[0] != part and loc[1] == part else loc


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
