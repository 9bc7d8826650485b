import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from recsys_tasks.settings import EVENT_COLUMNS, ITEM_COLUMNS, Settings, load_settings

EXAMPLES = Path(__file__).parents[2] / "examples"
TEMPLATE = EXAMPLES / "template" / "shop.yaml"
SHOPS = ("complete_journey", "online_retail", "template")


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch):
    for name in ("RECSYS_SHOP", "RECSYS_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ONLINE_RETAIL", "/somewhere")


def sections(annotation: Any) -> list[type[BaseModel]]:
    """The sections an annotation may hold."""
    options = [annotation, *get_args(annotation)]
    # A choice of sections: each stands there with its tag.
    options += [kind for option in options for kind in get_args(option)[:1]]
    return [option for option in options if isinstance(option, type) and issubclass(option, BaseModel)]


def keys(model: type[BaseModel], prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for name, field in model.model_fields.items():
        found.append((*prefix, name))
        for section in sections(field.annotation):
            found += keys(section, (*prefix, name))
    return found


def written(text: str) -> set[tuple[str, ...]]:
    """Every ``key:`` of the file by its path, those in comments too."""
    found, path = set(), []
    for line in text.splitlines():
        plain = line.replace("# ", "", 1) if line.lstrip().startswith("#") else line
        depth = (len(plain) - len(plain.lstrip())) // 2
        name, colon, _ = plain.strip().partition(":")
        if colon and name.replace("_", "").isalpha():
            path = [*path[:depth], name]
            found.add(tuple(path))
        found |= {(*path, inside) for inside in re.findall(r"[{,] *([a-z_]+):", plain)}
    return found


@pytest.mark.parametrize("shop", SHOPS)
def test_every_example_loads(shop):
    assert load_settings(EXAMPLES / shop / "shop.yaml").name


@pytest.mark.parametrize("key", keys(Settings), ids=".".join)
def test_the_template_has_every_key(key):
    assert key in written(TEMPLATE.read_text()), f"explain {'.'.join(key)} in examples/template/shop.yaml"


@pytest.mark.parametrize(("source", "known"), [("events", EVENT_COLUMNS), ("items", ITEM_COLUMNS)])
def test_the_template_maps_every_column(source, known):
    found = {key[-1] for key in written(TEMPLATE.read_text()) if key[:3] == ("sources", source, "columns")}
    assert known <= found


def test_the_template_shows_the_defaults():
    shown = yaml.safe_load(TEMPLATE.read_text())
    for name in ("check", "pairs", "encoder", "towers", "ranker", "gate", "store"):
        default = Settings.model_fields[name].default
        assert type(default)(**{**default.model_dump(), **shown[name]}) == default, name
