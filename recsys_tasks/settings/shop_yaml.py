"""Reading shop.yaml strictly: a key that stands twice is a fault, and every fault is told with its place and key."""

from collections.abc import Callable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

from recsys_tasks.errors import SettingsError

# Where a setting stands: keys, and numbers in a list.
Loc = tuple[str | int, ...]


class _StrictLoader(yaml.SafeLoader):
    """YAML lets the second of two equal keys win in silence; here it stops."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} stands here a second time", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_shop(file: Path) -> tuple[dict[str, Any], yaml.Node]:
    """The tree of settings, and where each of them stands; raises SettingsError for what is no such tree."""
    text = file.read_text(encoding="utf-8")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        tree = yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        raise SettingsError(f"{file}: not valid YAML: {error}") from None
    if node is None or not isinstance(tree, dict):
        raise SettingsError(f"{file}: expected a mapping of settings, found {type(tree).__name__}")
    for key in tree:
        if not isinstance(key, str):
            raise SettingsError(f"{file}:{_line_of(node, (key,))}: {key}: a setting's name is text")
    return tree, node


class Given(NamedTuple):
    """What the environment gives of a setting: the variable that it is from, and those that give parts of a section."""

    variable: str | None = None
    parts: Sequence[str] = ()


def explain(
    error: ValidationError, file: Path, node: yaml.Node, given: Callable[[Loc], Given] = lambda loc: Given()
) -> str:
    """
    One line a fault: where it is, key, what was expected. Values are left out: one may hold a password.

    A fault is in the file's line, or in the variable that ``given`` names; a section at odds with itself may be so
    by the file, by variables or by both, so both are named.
    """
    lines = []
    for fault in error.errors():
        loc = _as_written(fault["loc"], node)
        variable, parts = given(loc)
        place = (
            f"environment variable {variable} (over {file})" if variable else f"{file}:{_line_of(node, loc)}"
        )
        said = f"{place}: {_explained(loc, fault['msg'], fault['type'])}"
        lines.append(
            f"{said} (environment variables that stand over it: {', '.join(parts)})" if parts else said
        )
    return "\n".join(lines)


def _explained(loc: Loc, message: str, kind: str) -> str:
    key = ".".join(str(part) for part in loc) or "shop"
    if kind == "extra_forbidden":
        message = "unknown key; check the spelling against examples/template/shop.yaml"
    elif kind == "missing":
        message = "this key is required"
    message = message.removeprefix("Value error, ")
    return f"{key}: {message}"


def _as_written(loc: Loc, node: yaml.Node) -> Loc:
    """The place without what only the reader put there: which of several sections was meant."""
    written: list[str | int] = []
    for part, following in zip_longest(loc, loc[1:]):
        keys = {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}
        if part not in keys and following in keys:
            continue
        written.append(part)
        node = keys.get(part, node)
    return tuple(written)


def _line_of(node: yaml.Node, loc: tuple[Any, ...]) -> int:
    """The line of the deepest part of ``loc`` that stands in the file."""
    line: int = node.start_mark.line
    for part in loc:
        found = None
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            found = (node.value[part], node.value[part])
        if found is None:
            break
        line, node = found[0].start_mark.line, found[1]
    return line + 1
