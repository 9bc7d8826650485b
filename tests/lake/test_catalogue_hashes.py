import json
from dataclasses import replace
from datetime import timedelta

import polars as pl
import pytest

from recsys_tasks.lake import catalogue_hashes
from recsys_tasks.lake.catalogue_hashes import CatalogueHashes
from recsys_tasks.lake.past import PastLake
from recsys_tasks.lake.records import content_hash
from recsys_tasks.lake.tables import Lake
from tests.lake.builders import items, night

NIGHTS = [night(f"2026-03-{day:02}") for day in range(1, 9)]


@pytest.fixture
def lake(tmp_path):
    """A catalogue that was assumed, proven, changed, and lost and found an item."""
    lake = Lake(tmp_path)
    lake.write_items(items(tent="red tent", mat="mat"), NIGHTS[1], proven=False)
    lake.write_items(items(tent="red tent", mat="mat"), NIGHTS[2])
    lake.write_items(items(tent="blue tent"), NIGHTS[4])
    lake.write_items(items(tent="blue tent", mat="mat", bag="bag"), NIGHTS[6])
    return lake


@pytest.fixture
def hashed(monkeypatch):
    """The catalogues that were hashed and not remembered."""
    seen = []
    monkeypatch.setattr(
        catalogue_hashes, "content_hash", lambda frame: seen.append(len(frame)) or content_hash(frame)
    )
    return seen


def plainly(lake):
    return [content_hash(lake.catalogue(one.as_of)) for one in NIGHTS]


def test_they_are_what_hashing_each_catalogue_gives(lake):
    for _ in range(2):
        hashes = lake.catalogue_hashes()
        assert [hashes.at(one.as_of) for one in NIGHTS] == plainly(lake)
    assert [lake.state(one)["items"] for one in NIGHTS] == plainly(lake)


def test_just_before_and_just_after_a_change(lake):
    for one in NIGHTS:
        for shift in (-1, 0, 1):
            at = one.as_of + timedelta(microseconds=shift)
            assert lake.catalogue_hashes().at(at) == content_hash(lake.catalogue(at))


def test_each_is_hashed_once_however_many_nights_and_processes_ask(lake, hashed):
    for one in NIGHTS:
        lake.state(one)
    assert len(hashed) == 5, "before the first snapshot, and from each of four on"
    for one in NIGHTS:
        lake.catalogue_hashes().at(one.as_of)
    assert len(hashed) == 5


def test_a_new_snapshot_leaves_what_earlier_nights_are_told(lake, hashed):
    for one in NIGHTS:
        lake.state(one)
    lake.write_items(items(tent="green tent"), NIGHTS[7])
    assert [lake.state(one)["items"] for one in NIGHTS] == plainly(lake)
    assert len(hashed) == 6


def test_a_snapshot_that_is_replaced_is_hashed_again(lake):
    before, past = lake.state(NIGHTS[6])["items"], PastLake(lake.folder, at=lake.versions())
    lake.write_items(items(tent="green tent"), NIGHTS[6])
    assert lake.state(NIGHTS[6])["items"] == content_hash(lake.catalogue(NIGHTS[6].as_of)) != before
    assert past.state(NIGHTS[6])["items"] == before


def test_a_catalogue_that_is_written_while_hashes_are_asked_for_is_not_mixed_in(lake):
    hashes, before = lake.catalogue_hashes(), plainly(lake)
    lake.write_items(items(tent="green tent"), NIGHTS[6])
    assert [hashes.at(one.as_of) for one in NIGHTS] == before
    assert [lake.catalogue_hashes().at(one.as_of) for one in NIGHTS] == plainly(lake)


def test_other_code_hashes_anew(lake, hashed, monkeypatch):
    lake.state(NIGHTS[0])
    monkeypatch.setattr(catalogue_hashes, "code_version", lambda room: "another release")
    lake.state(NIGHTS[0])
    assert len(hashed) == 2
    assert len(json.loads((lake.folder / "catalogues.json").read_text())["hashes"]) == 1


def test_a_table_that_does_not_tell_what_its_files_hold_is_hashed_every_time(lake, hashed):
    hashes = lake.catalogue_hashes()
    silent = replace(hashes, files=hashes.files.select("path"))
    merged = replace(hashes, files=hashes.files.with_columns(pl.col("max.valid_from").max()))
    assert [silent.at(one.as_of) for one in NIGHTS] == plainly(lake)
    assert not silent.kept.exists()
    assert [merged.at(one.as_of) for one in NIGHTS] == plainly(lake)


def test_without_a_catalogue_there_is_nothing_to_remember(tmp_path):
    hashes = Lake(tmp_path).catalogue_hashes()
    assert hashes.at(NIGHTS[0].as_of) == content_hash(Lake(tmp_path).catalogue(NIGHTS[0].as_of))
    assert isinstance(hashes, CatalogueHashes)
    assert not hashes.kept.exists()
