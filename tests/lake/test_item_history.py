from recsys_tasks.lake.tables import Lake
from recsys_tasks.schema import Catalogue
from tests.lake.builders import items, night


def catalogue(lake: Lake, day: str) -> dict[str, tuple[str, bool]]:
    rows = lake.snapshot(night(day).as_of).items
    Catalogue.validate(rows)
    return {item: (text, proven) for item, text, proven in rows.select("item_id", "text", "proven").rows()}


def test_the_first_catalogue_is_assumed_for_the_nights_before_it_and_proven_from_its_own(lake):
    written = lake.write_items(items(tent="red tent"), night("2026-03-02"))
    assert written.assumed
    assert catalogue(lake, "2026-03-01") == {"tent": ("red tent", False)}
    assert catalogue(lake, "2026-03-02") == {"tent": ("red tent", True)}


def test_a_catalogue_that_is_read_long_after_its_night_proves_nothing_of_that_night(lake):
    written = lake.write_items(items(tent="red tent"), night("2026-03-02"), proven=False)
    assert not written.proven
    assert catalogue(lake, "2026-03-02") == {"tent": ("red tent", False)}
    lake.write_items(items(tent="red tent", bag="bag"), night("2026-03-03"), proven=False)
    assert catalogue(lake, "2026-03-05") == {"tent": ("red tent", False), "bag": ("bag", False)}


def test_the_first_catalogue_read_in_time_proves_what_was_only_assumed(lake):
    lake.write_items(items(tent="red tent", mat="mat"), night("2026-03-02"), proven=False)
    written = lake.write_items(items(tent="red tent", mat="mat"), night("2026-03-04"))
    assert (written.total, written.added, written.changed, written.removed) == (2, 0, 0, 0)
    assert catalogue(lake, "2026-03-03") == {"tent": ("red tent", False), "mat": ("mat", False)}
    assert catalogue(lake, "2026-03-04") == {"tent": ("red tent", True), "mat": ("mat", True)}
    before = lake.versions()
    lake.write_items(items(tent="red tent", mat="mat"), night("2026-03-05"))
    assert lake.versions() == before


def test_a_late_reading_does_not_replace_one_that_was_in_time(lake):
    lake.write_items(items(tent="red tent"), night("2026-03-02"))
    assert lake.write_items(items(tent="blue tent", bag="bag"), night("2026-03-02"), proven=False).skipped
    assert catalogue(lake, "2026-03-02") == {"tent": ("red tent", True)}


def test_an_item_that_left_is_not_proven_by_its_former_life(lake):
    lake.write_items(items(tent="red tent", mat="mat"), night("2026-03-01"))
    lake.write_items(items(tent="red tent"), night("2026-03-02"))
    lake.write_items(items(tent="red tent", mat="mat"), night("2026-03-03"), proven=False)
    assert catalogue(lake, "2026-03-03") == {"tent": ("red tent", True), "mat": ("mat", False)}


def test_a_night_reads_the_catalogue_as_it_stood(lake):
    lake.write_items(items(tent="red tent", mat="mat"), night("2026-03-02"))
    written = lake.write_items(items(tent="blue tent", bag="bag"), night("2026-03-04"))
    assert (written.total, written.added, written.changed, written.removed) == (2, 1, 1, 1)
    assert not written.assumed
    assert catalogue(lake, "2026-03-01") == {"tent": ("red tent", False), "mat": ("mat", False)}
    assert catalogue(lake, "2026-03-03") == {"tent": ("red tent", True), "mat": ("mat", True)}
    assert catalogue(lake, "2026-03-04") == {"tent": ("blue tent", True), "bag": ("bag", True)}


def test_an_item_that_comes_back_is_listed_again(lake):
    for day, listed in (
        ("01", {"tent": "t", "mat": "m"}),
        ("02", {"tent": "t"}),
        ("03", {"tent": "t", "mat": "m"}),
    ):
        lake.write_items(items(**listed), night(f"2026-03-{day}"))
    assert [len(catalogue(lake, f"2026-03-{day}")) for day in ("01", "02", "03")] == [2, 1, 2]


def test_an_unchanged_catalogue_adds_no_version(lake):
    lake.write_items(items(tent="red tent"), night("2026-03-02"))
    lake.write_items(items(tent="red tent"), night("2026-03-03"))
    assert lake.versions()["items"] == 1


def test_the_catalogue_of_an_older_night_changes_nothing(lake):
    lake.write_items(items(tent="red tent"), night("2026-03-02"))
    lake.write_items(items(tent="red tent"), night("2026-03-03"))
    before = lake.state(night("2026-03-02")), lake.versions()
    assert lake.write_items(items(bag="bag"), night("2026-03-02")).skipped
    assert (lake.state(night("2026-03-02")), lake.versions()) == before


def test_the_same_night_again_changes_nothing(lake):
    lake.write_items(items(tent="red tent"), night("2026-03-02"))
    first = lake.write_items(items(tent="blue tent", bag="bag"), night("2026-03-03"))
    before = lake.versions()
    assert lake.write_items(items(tent="blue tent", bag="bag"), night("2026-03-03")) == first
    assert lake.versions() == before


def test_the_same_night_with_another_catalogue_replaces_its_own_versions_only(lake):
    lake.write_items(items(tent="red tent"), night("2026-03-02"))
    lake.write_items(items(tent="blue tent", bag="bag"), night("2026-03-03"))
    lake.write_items(items(tent="green tent"), night("2026-03-03"))
    assert catalogue(lake, "2026-03-02") == {"tent": ("red tent", True)}
    assert catalogue(lake, "2026-03-03") == {"tent": ("green tent", True)}
