import json
import socket
import stat

import pytest

from tools.places import Places, is_free


@pytest.fixture
def places(tmp_path):
    made = Places(tmp_path / "home")
    made.create()
    return made


def test_keys_and_password_are_made_once(places):
    keys, password = places.keys(), places.password()
    places.create()
    assert (places.keys(), places.password()) == (keys, password)


def test_two_homes_share_no_secret(places, tmp_path):
    other = Places(tmp_path / "other")
    other.create()
    assert other.password() != places.password()
    assert not set(other.keys().values()) & set(places.keys().values())


def test_secrets_are_for_their_owner_only(places):
    assert stat.S_IMODE(places.home.stat().st_mode) == 0o700
    for file in (places.passwords, places.home / "keys.json"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_home_that_was_opened_is_closed_again(places):
    places.home.chmod(0o755)
    places.create()
    assert stat.S_IMODE(places.home.stat().st_mode) == 0o700


def test_passwords_stand_as_airflow_reads_them(places):
    assert json.loads(places.passwords.read_text()) == {"admin": places.password()}


def test_a_taken_port_is_passed_over_and_the_choice_remembered(places):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        (places.home / "port").write_text(str(number))
        assert not is_free(number)
        chosen = places.port()
    assert chosen > number
    assert places.running_port() == chosen


def test_nothing_served_before_the_first_start(places):
    assert places.served() is None
