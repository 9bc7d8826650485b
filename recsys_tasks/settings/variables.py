"""Settings from environment variables, which stand over the file: is each one a setting, and which has a fault."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from recsys_tasks.errors import SettingsError
from recsys_tasks.settings.shop import Settings

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


def variable_behind(loc: tuple[str | int, ...]) -> str | None:
    """The variable that gives the setting at ``loc``, or a part of it; none where the file alone does."""
    behind = [(len(path), name) for name, path in _variables() if _gives(name, path, loc)]
    return max(behind)[1] if behind else None


def _variables() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each variable of ours that may be a setting, and where in the tree it stands."""
    for name in os.environ:
        if name.startswith(PREFIX) and name not in OTHER_VARIABLES:
            yield name, tuple(name.removeprefix(PREFIX).lower().split(BETWEEN))


def _gives(name: str, path: tuple[str, ...], loc: tuple[str | int, ...]) -> bool:
    shared = min(len(path), len(loc))
    return path[:shared] == loc[:shared] and _holds(_parsed(os.environ[name]), loc[shared:])


def _holds(value: Any, rest: tuple[str | int, ...]) -> bool:
    """Whether a section given as JSON has the setting; what is no section is the fault itself."""
    if not rest or not isinstance(value, dict):
        return True
    if rest[0] not in value and len(rest) > 1:
        # Which of several sections was meant, which only the reader put there.
        rest = rest[1:]
    return rest[0] in value and _holds(value[rest[0]], rest[1:])


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
