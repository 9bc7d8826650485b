"""What must never be shown of a database's URL, however it is written and whoever repeats it."""

import pytest
from sqlalchemy import make_url

from recsys_tasks.addresses import scrubbed, url_from_environment, without_password, without_secrets
from recsys_tasks.errors import SettingsError

SECRET = "h0rse-staple"


def read(monkeypatch, value):
    monkeypatch.setenv("SHOP_URL", value)
    return url_from_environment("database", "SHOP_URL", "a URL")


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://shop:left@h0rse:staple@host/db",
        "postgresql://shop:left@h0rse@127.0.0.1:1/db",
        "postgresql://shop:left@h0rse/staple@host/db",
        "postgresql://shop:left@h0rse?sta=ple@host/db",
        "postgresql://host:5432/db?password=left@h0rse",
        "postgres://me@server:left@host/db",
        "postgresql://shop:h0rse/db",
        "postgresql://shop:left@host:h0rse/db",
        "left and h0rse",
    ],
)
def test_a_url_that_takes_guessing_is_refused_without_a_part_of_it(monkeypatch, value):
    with pytest.raises(SettingsError, match="the URL in SHOP_URL cannot be read: percent-encode") as refused:
        read(monkeypatch, value)
    told = f"{refused.value!r} {refused.value.__cause__!r} {refused.value.__context__!r}"
    assert not [part for part in ("left", "h0rse", "staple", "ple@") if part in told]


@pytest.mark.parametrize(
    ("value", "username", "password", "host"),
    [
        ("postgresql://shop:p%40ss%3Aword@host:5432/db", "shop", "p@ss:word", "host"),
        ("postgresql://me%40server:word@host/db", "me@server", "word", "host"),
        ("postgresql://shop:a/b@[::1]/db", "shop", "a/b", "::1"),
        ("postgresql:///db?host=/run/shop", None, None, None),
        ("sqlite:////srv/me@home/a@b.db", None, None, None),
    ],
)
def test_a_url_that_is_clear_is_read(monkeypatch, value, username, password, host):
    url = read(monkeypatch, value)
    assert (url.username, url.password, url.host) == (username, password, host)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_both_spellings_of_postgresql_are_one(monkeypatch, scheme):
    assert read(monkeypatch, f"{scheme}://me@db/postgres").drivername == "postgresql"
    assert read(monkeypatch, f"{scheme}+psycopg://me@db/shop").drivername == "postgresql+psycopg"


def test_a_variable_that_is_not_set_is_named_with_its_setting(monkeypatch):
    monkeypatch.delenv("SHOP_URL", raising=False)
    with pytest.raises(SettingsError, match=r"database: .*SHOP_URL is not set; it must hold a URL"):
        url_from_environment("database", "SHOP_URL", "a URL")


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{SECRET}@db:5432/shop",
        f"postgresql://me@db/shop?password={SECRET}&sslmode=require",
        f"postgresql://me@db/shop?sslpassword={SECRET}",
        f"mysql+pymysql://me@db/shop?passwd={SECRET}&passwd=twice",
        f"mssql+pyodbc://me@db/?odbc_connect=PWD%3D{SECRET}",
    ],
)
def test_a_shown_url_holds_no_password(url):
    shown = without_password(make_url(url))
    assert SECRET not in shown
    assert "me@db" in shown


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("db://me:p%40ss-word@h/d", "no user for p@ss-word"),
        ("db://me:p%40ss-word@h/d", "cannot connect to db://me:p%40ss-word@h/d"),
        ("db://me@h/d?passwd=p%40ss-word&passwd=other", "tried p@ss-word"),
        ("db://me@h/d?access_token=p%40ss-word", "bad option access_token=p%40ss-word"),
        ("db://me@h/d", "cannot connect to db://me:ss-word@h/d"),
        ("db://me@h/d", "invalid dsn: host=h password='ss-word ss-word' dbname=d"),
        ("db://me@h/d", "login failed: DRIVER=x;PWD=ss-word;SERVER=h"),
    ],
)
def test_a_message_that_repeats_a_secret_is_scrubbed(url, message):
    assert "ss-word" not in scrubbed(message, make_url(url))


def test_a_message_without_secrets_stays_as_it_is():
    message = 'FATAL: password authentication failed for user "me" at h:5432'
    assert scrubbed(message, make_url("db://me:x1y2@h/d?sslmode=require")) == message


@pytest.mark.parametrize(
    "message",
    [
        "no answer from http://ss-word@mlflow:5000/api",
        "no answer from http://me:ss@ss-word@mlflow:5000/api",
        "cannot connect to postgresql://db/mlflow?user=me&password=ss-word",
    ],
)
def test_somebody_elses_message_is_told_without_users_and_passwords(message):
    said = without_secrets(message)
    assert "ss-word" not in said
    assert said.startswith(message[:10])


def test_somebody_elses_message_without_secrets_stays_as_it_is():
    message = "Max retries exceeded with url: http://mlflow:5000/api/2.0/runs?mail=a@b"
    assert without_secrets(message) == message
