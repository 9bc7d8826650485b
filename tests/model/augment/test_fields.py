from itertools import pairwise

import pytest

from recsys_tasks.extract.text import separators_of
from recsys_tasks.model.augment.fields import field_starts


def cut(text, template):
    starts = [*field_starts(text, separators_of(template, "text")), len(text)]
    return [text[begin:end] for begin, end in pairwise(starts)]


@pytest.mark.parametrize(
    ("why", "template", "text", "fields"),
    [
        ("separators", "{name}. {maker}. {kind}", "Tent. Acme. Camping", ["Tent. ", "Acme. ", "Camping"]),
        ("brackets open their field", "{name} ({size})", "Tent (2 m)", ["Tent ", "(2 m)"]),
        ("words between", "{name}, made by {maker}", "Tent, made by Acme", ["Tent, made by ", "Acme"]),
        ("an empty field is gone", "{name}. {maker}. {kind}", "Tent. Camping", ["Tent. ", "Camping"]),
        ("only a space tells nothing", "{name} {maker}", "Tent Acme", ["Tent Acme"]),
        ("one field", "{name}", "Tent. Blue", ["Tent. Blue"]),
        ("a value with a separator", "{name}. {maker}", "Mr. Tent. Acme", ["Mr. ", "Tent. ", "Acme"]),
        ("white space is one space", "{name}.\n  {maker}", "Tent. Acme", ["Tent. ", "Acme"]),
        ("nothing behind the last", "{name}. {maker}.", "Tent. Acme.", ["Tent. ", "Acme."]),
    ],
)
def test_a_text_is_cut_where_its_template_says(why, template, text, fields):
    assert cut(text, template) == fields


def test_an_empty_text_has_one_empty_field():
    assert field_starts("", [". "]).tolist() == [0]
