import polars as pl
import pytest

from recsys_tasks.errors import SettingsError
from recsys_tasks.extract.text import fields_of, text_from


def text(template: str, **fields: object) -> str:
    frame = pl.DataFrame({name: [value] for name, value in fields.items()})
    return frame.select(text_from(template, "sources.items.text", frame.schema)).item()


@pytest.mark.parametrize(
    ("template", "fields", "reads"),
    [
        ("{a}. {b} ({c})", {"a": "Tent", "b": "Acme", "c": "2 m"}, "Tent. Acme (2 m)"),
        ("{a}. {b} ({c})", {"a": "Tent", "b": None, "c": "2 m"}, "Tent. (2 m)"),
        ("{a}. {b} ({c})", {"a": "Tent", "b": "Acme", "c": ""}, "Tent. Acme"),
        ("{a}. {b} ({c})", {"a": None, "b": None, "c": "2 m"}, "(2 m)"),
        ("{a}, {b}, {c}", {"a": "Tent", "b": None, "c": "red"}, "Tent, red"),
        ("{a}, {b}, {c}", {"a": "Tent", "b": None, "c": " "}, "Tent"),
        ("{a}, {b}, {c}", {"a": None, "b": "Acme", "c": "red"}, "Acme, red"),
        ("{a} | {b}", {"a": "Tent", "b": None}, "Tent"),
        ("{a}. {b}", {"a": "Tent", "b": None}, "Tent."),
        ("({a}) {b}", {"a": None, "b": "Acme"}, "Acme"),
        ("({a}) {b}", {"a": "new", "b": "Acme"}, "(new) Acme"),
        ("Item {a}", {"a": "Tent"}, "Item Tent"),
        ("Item {a}", {"a": None}, ""),
        ("{a} {b}", {"a": "  Tent \n for  two ", "b": "-5 C"}, "Tent for two -5 C"),
        ("{b} {a}", {"a": "-5 C", "b": None}, "-5 C"),
        ("{a} {b}", {"a": "Tent", "b": 5.0}, "Tent 5"),
        ("{{{a}}}", {"a": "Tent"}, "{Tent}"),
    ],
)
def test_empty_fields_vanish_and_leave_no_trace(template, fields, reads):
    assert text(template, **fields) == reads


@pytest.mark.parametrize("template", ["{a", "plain", "{}", "{a!r}", "{a:>3}"])
def test_a_malformed_template_is_refused_with_its_key(template):
    with pytest.raises(SettingsError, match=r"sources\.items\.text"):
        fields_of(template, "sources.items.text")
