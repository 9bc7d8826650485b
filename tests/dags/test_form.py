from copy import copy

import pytest
from airflow.sdk.exceptions import ParamValidationError
from common import form

REFUSED = [
    ("no date", form.NIGHT, "yesterday"),
    ("no such day", form.NIGHT, "2017-02-29"),
    ("day before month", form.NIGHT, "03-12-2017"),
    ("a number", form.NIGHT, 20171203),
    ("no step", form.FROM_STEP, "bild_pairs"),
    ("too short a list", form.TOP_K, 0),
    ("too long a list", form.TOP_K, 501),
    ("half an item", form.TOP_K, 2.5),
    ("a word for a number", form.TOP_K, "twenty"),
    ("an unknown way to publish", form.PUBLISH, "now"),
    ("nothing", form.PUBLISH, None),
    ("an unknown start", form.START, "cold"),
]
TAKEN = [
    (form.NIGHT, None),
    (form.NIGHT, "2017-12-03"),
    (form.FROM_STEP, None),
    (form.FROM_STEP, "gate"),
    (form.TOP_K, None),
    (form.TOP_K, 1),
    (form.TOP_K, 500),
    (form.PUBLISH, "auto"),
    (form.PUBLISH, "live"),
    (form.PUBLISH, "dry_run"),
    (form.START, "scratch"),
]


@pytest.mark.parametrize(("why", "field", "value"), REFUSED, ids=[row[0] for row in REFUSED])
def test_the_form_refuses(why, field, value):
    with pytest.raises(ParamValidationError):
        copy(field).resolve(value)


@pytest.mark.parametrize(("field", "value"), TAKEN)
def test_the_form_takes(field, value):
    assert copy(field).resolve(value) == value
