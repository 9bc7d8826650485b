from datetime import date

import pytest

from recsys_tasks.errors import SettingsError
from recsys_tasks.settings import load_settings
from tools import demo


@pytest.fixture(scope="module")
def settings():
    return load_settings(demo.SHOP)


def test_the_night_of_the_demo_is_in_its_log(settings):
    demo.require_inside(settings, date.fromisoformat(demo.NIGHT))


def test_the_demo_trains_an_encoder(settings):
    assert settings.night(demo.NIGHT).is_every(settings.encoder.every_nights)


def test_the_week_after_the_demo_s_night_is_in_its_log(settings):
    assert (settings.last_night - date.fromisoformat(demo.NIGHT)).days >= demo.DAYS_AFTER


@pytest.mark.parametrize("night", ["2016-12-31", "2017-01-01", "2018-01-01"])
def test_a_night_without_history_or_log_is_refused(settings, night):
    with pytest.raises(SettingsError, match="2017-01-01"):
        demo.require_inside(settings, date.fromisoformat(night))


def test_a_server_that_does_not_run_counts_no_memory(tmp_path):
    assert demo.postmaster(tmp_path) == []
