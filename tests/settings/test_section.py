from typing import get_args

import pytest
from pydantic import BaseModel

from recsys_tasks.settings import Settings, load_settings
from recsys_tasks.settings.contrast import Byol
from recsys_tasks.settings.section import Section


def sections(model: type[BaseModel]) -> set[type[BaseModel]]:
    found = [field.annotation for field in model.model_fields.values()]
    # A choice of sections: each stands there with its tag.
    choices = [choice for option in found for choice in get_args(option)]
    tagged = [get_args(choice)[0] for choice in choices if get_args(choice)]
    inner = {
        kind for kind in (*found, *choices, *tagged) if isinstance(kind, type) and issubclass(kind, Section)
    }
    return inner.union(*(sections(kind) for kind in inner))


def test_every_section_is_strict_and_frozen():
    for section in sections(Settings):
        assert section.model_config["extra"] == "forbid", section
        assert section.model_config["frozen"], section
    assert Byol in sections(Settings), "the choices too"


def test_settings_do_not_change_under_a_running_night(shop):
    with pytest.raises(Exception, match="frozen"):
        load_settings(shop).towers.epochs = 9


@pytest.mark.parametrize(
    "path",
    [
        "top_k",
        "home",
        "pairs.window_minutes",
        "pairs.target_days",
        "gate.days",
        "encoder.base",
        "sources.events.query",
    ],
)
def test_the_words_under_a_field_reach_the_operators_table(path):
    model: type[BaseModel] = Settings
    *heads, last = path.split(".")
    for head in heads:
        model = model.model_fields[head].annotation
    described = model.model_fields[last].description or last
    assert len(described) > len(last) or path == "top_k"
