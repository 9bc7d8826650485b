"""From the previous release's database with data in it: nothing is lost, and that release can go on reading it."""

import pytest
from alembic import command
from sqlalchemy import inspect, select, text

from recsys_tasks.errors import Busy
from recsys_tasks.settings import StoreSettings
from recsys_tasks.store import churn as churning
from recsys_tasks.store import migrate as migrating
from recsys_tasks.store.coded_tables import LISTS
from recsys_tasks.store.connect import engine_for, is_postgresql, make_url, reading, writer
from recsys_tasks.store.migrate import HEAD, alembic_config, current_revision, migrate
from recsys_tasks.store.store import Store
from recsys_tasks.store.tables import Generation
from tests.store.builders import TUESDAY, WEDNESDAY, candidate, lists

PREVIOUS = ("0001", "0002", "0003", "0004")
GENERATION = (
    "INSERT INTO generations (id, night, run_id, model, model_refs, top_k, rows, users, fallback_share, state, why,"
    " audit, created_at) VALUES ({id}, '2026-03-0{id}', 'run {id}', 'm', '{{}}', 2, 2, 1, 0.5, 'ready', '', '{{}}',"
    " '2026-03-03 04:00:00')"
)
ARRAYS = {
    "sqlite": '\'["tea", "rye"]\', \'[0.5, 0.25]\', \'["repeat", "popular"]\', \'["you buy it", "popular"]\'',
    "postgresql": "'{tea,rye}', '{0.5,0.25}', '{repeat,popular}', '{you buy it,popular}'",
}
# The same lists as migration 0003 keeps them: the texts of a generation, and four bytes a place for the text's code.
PACKED = {
    "sqlite": "'[\"tea\",\"rye\"]', '[0.5,0.25]', x'0000000000000001', x'0000000200000001'",
    "postgresql": "E'\\x1ftea\\x1frye', '{0.5,0.25}', '\\x0000000000000001', '\\x0000000200000001'",
}
# And as SQLite has kept them since migration 0004, with a code for each item.
CODED = "x'0000000000000001', x'3F0000003E800000', x'0000000000000001', x'0000000200000001'"
ITEMS = ("tea", "rye")
CODES = {"sqlite": "x'0000000{}'", "postgresql": "'\\x0000000{}'"}
WORDS = ("repeat", "popular", "you buy it")
# What the previous release asks, in its own columns.
READS = {
    "the view": "SELECT surface, user_id, rank, item_id, score, source, reason, night, model, run_id"
    " FROM recommendations WHERE user_id = 'ann' ORDER BY rank",
    "lists": "SELECT generation_id, subject_id, surface, item_ids, scores, sources, reasons FROM recommendation_lists",
    "generations": "SELECT id, night, run_id, model, model_refs, lists_ref, top_k, rows, users, fallback_share, state,"
    " why, audit, created_at FROM generations ORDER BY id",
    "pointer": "SELECT id, generation_id, champion, moved_at, moved_by, why FROM live",
    "moves": "SELECT from_generation_id, to_generation_id, moved_at, moved_by, why FROM moves ORDER BY id",
    "decisions": "SELECT night, accepted, refs, champion, metrics, why, run_id, decided_at, generation_id, revoked_at,"
    " revoked_why FROM gate_decisions",
    "metrics": "SELECT night, kind, system, slice, metric, value, low, high FROM metrics",
}


@pytest.fixture(params=PREVIOUS)
def previous(request):
    return request.param


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request, previous, tmp_path):
    """A database as a previous release left it: two generations, the second live."""
    if request.param == "postgresql":
        engine = engine_for(make_url(request.getfixturevalue("fresh_postgres_url")))
    else:
        engine = engine_for(make_url(f"sqlite:///{tmp_path}/serve.db"))
    with writer(engine).begin() as connection:
        command.upgrade(alembic_config(connection), previous)
        for id in (1, 2):
            _generation(connection, previous, id)
        connection.execute(text("UPDATE live SET generation_id = 2, moved_by = 'me'"))
        connection.execute(
            text(
                "INSERT INTO moves (from_generation_id, to_generation_id, moved_at, moved_by, why)"
                " VALUES (1, 2, '2026-03-03 04:00:00', 'me', 'published')"
            )
        )
        connection.execute(
            text(
                "INSERT INTO gate_decisions (night, accepted, refs, champion, metrics, why, decided_at) VALUES"
                " ('2026-03-02', TRUE, '{}', '{}', '{}', 'better', '2026-03-03 04:00:00')"
            )
        )
        connection.execute(
            text(
                "INSERT INTO metrics (night, kind, system, slice, metric, value) VALUES"
                " ('2026-03-02', 'gate', 'popular', 'all', 'ndcg@10', 0.5)"
            )
        )
    return engine


def _generation(connection, previous, id):
    """A generation as a previous release loads it; the first is of the oldest."""
    kind = connection.dialect.name
    table = "recommendation_lists" if id == 1 else _newest_table(kind, previous)
    connection.execute(text(GENERATION.format(id=id)))
    if kind == "postgresql":
        connection.execute(text(f"CREATE TABLE {table}_g{id} PARTITION OF {table} FOR VALUES IN ({id})"))
        # Its numbers went up with each load.
        connection.execute(text("SELECT nextval(pg_get_serial_sequence('generations', 'id'))"))
    columns = {"recommendation_lists": ARRAYS[kind], "packed_lists": PACKED[kind], "coded_lists": CODED}[
        table
    ]
    connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({id}, 'ann', 'for_you', {columns})")
    for code, words in enumerate(WORDS if table != "recommendation_lists" else ()):
        values = f"{id}, {CODES[kind].format(code)}, '{words}'"
        connection.exec_driver_sql(f"INSERT INTO list_texts VALUES ({values})")
    for code, item in enumerate(ITEMS if table == "coded_lists" else ()):
        values = f"{CODES[kind].format(code)}, '{item}'"
        connection.exec_driver_sql(f"INSERT OR IGNORE INTO coded_items VALUES ({values})")


def _newest_table(kind, previous):
    """Where a previous release puts lists."""
    if previous < "0003":
        return "recommendation_lists"
    return "coded_lists" if previous == "0004" and kind == "sqlite" else "packed_lists"


def answers(engine):
    with engine.connect() as connection:
        return {name: connection.execute(text(query)).all() for name, query in READS.items()}


def test_every_query_of_the_previous_release_answers_as_before(engine, previous):
    before = answers(engine)
    assert all(before.values())
    migrate(engine)
    assert answers(engine) == before
    with engine.connect() as connection:
        assert current_revision(connection) == HEAD != previous


def test_this_release_goes_on_from_there(engine):
    migrate(engine)
    store = Store(engine)
    assert [(row.item_id, row.score) for row in store.user_list("ann")] == [("tea", 0.5), ("rye", 0.25)]
    assert [(g.run_id, g.rolled_back_at) for g in store.generations()] == [("run 1", None), ("run 2", None)]
    assert store.rollback(1, why="bad", who="me").id == 1
    assert store.publish(candidate(TUESDAY), [lists()]).switched
    assert [g.id for g in store.generations()] == [1, 2, 3]
    assert [row.reason for row in store.user_list("bob")][:1] == ["you bought tea before"]
    assert store.rollback(why="bad too", who="me").id == 1
    assert [row.reason for row in store.user_list("ann")] == ["you buy it", "popular"]


def test_lists_of_the_previous_release_can_be_gone_back_to(engine):
    before = answers(engine)["the view"]
    migrate(engine)
    store = Store(engine)
    store.publish(candidate(TUESDAY), [lists()])
    assert store.rollback(why="bad", who="me").id == 2
    assert answers(engine)["the view"] == before
    assert store.publish(candidate(WEDNESDAY), [lists()]).switched
    store.prune(1)
    with engine.connect() as connection:
        for table in LISTS:
            assert not {1, 2} & set(connection.execute(select(table.c.generation_id)).scalars())
    assert [g.state for g in store.generations()] == ["pruned", "pruned", "ready", "ready"]


def test_lists_of_both_releases_are_compared_and_pruned(engine, monkeypatch):
    monkeypatch.setattr(churning, "ENOUGH", 1)
    migrate(engine)
    store = Store(engine)
    published = store.publish(candidate(TUESDAY), [lists(("ann",))], StoreSettings(max_churn=1.0)).generation
    assert (published.audit["against"], published.audit["churn"]) == (2, 0.0), "tea and rye are there still"
    store.prune(1)
    assert [(g.id, g.state) for g in store.generations()] == [(1, "ready"), (2, "pruned"), (3, "ready")]
    with engine.connect() as connection:
        left = connection.execute(text("SELECT DISTINCT generation_id FROM recommendation_lists")).scalars()
        assert list(left) == [1]
        if is_postgresql(engine):
            names = {name for name in inspect(engine).get_table_names() if "lists_g" in name}
            assert names == {"recommendation_lists_g1", "coded_lists_g3"}


def test_lists_that_the_previous_release_loads_are_compared_with_live_ones_of_this(
    engine, previous, monkeypatch
):
    monkeypatch.setattr(churning, "ENOUGH", 1)
    migrate(engine)
    store = Store(engine)
    live = store.publish(candidate(TUESDAY), [lists(("ann",))], StoreSettings(max_churn=1.0)).generation
    with writer(engine).begin() as connection:
        _generation(connection, previous, 4)
    with reading(engine) as session:
        found = churning.churn(session, session.get_one(Generation, 4), live)
    assert (found.shoppers, found.share) == (1, 0.0), "both its items are in the live list"


def test_the_previous_release_may_still_publish(engine, previous):
    """Its rows go where they went before; once its pointer points there, they are what readers see."""
    migrate(engine)
    store = Store(engine)
    store.publish(candidate(TUESDAY), [lists()])
    with writer(engine).begin() as connection:
        _generation(connection, previous, 4)
        connection.execute(text("UPDATE live SET generation_id = 4"))
    assert [row.item_id for row in store.user_list("ann")] == ["tea", "rye"]
    assert store.publish(candidate(WEDNESDAY), [lists()]).switched
    assert [row.item_id for row in store.user_list("ann")] == ["tea", "milk", "rye"]


def downgrade(engine, revision):
    with writer(engine).begin() as connection:
        command.downgrade(alembic_config(connection), revision)


def test_a_downgrade_brings_back_what_the_earlier_view_shows(engine, previous):
    before = answers(engine)
    migrate(engine)
    downgrade(engine, previous)
    assert answers(engine) == before


def test_a_downgrade_leaves_no_live_generation_without_lists(engine, previous):
    migrate(engine)
    Store(engine).publish(candidate(TUESDAY), [lists()])
    downgrade(engine, previous)
    with engine.connect() as connection:
        live = connection.scalar(text("SELECT generation_id FROM live"))
        state = connection.scalar(text("SELECT state FROM generations WHERE id = 3"))
        rows = connection.execute(text(READS["the view"])).all()
    # SQLite's lists have been the same since 0004.
    kept = previous == "0004" and not is_postgresql(engine)
    assert (live, state, len(rows)) == ((3, "ready", 3) if kept else (2, "pruned", 2))


def test_an_upgrade_after_a_downgrade_is_an_upgrade(engine, previous):
    migrate(engine)
    Store(engine).publish(candidate(TUESDAY), [lists()])
    downgrade(engine, previous)
    migrate(engine)
    assert Store(engine).publish(candidate(WEDNESDAY), [lists(items=("oat", "tea", "fig"))]).switched
    assert [row.item_id for row in Store(engine).user_list("ann")] == ["oat", "tea", "fig"]


def test_a_worker_of_the_previous_release_may_still_write(engine):
    migrate(engine)
    with writer(engine).begin() as connection:
        connection.execute(text(GENERATION.format(id=9)))
        connection.execute(text("UPDATE gate_decisions SET why = 'again'"))
    assert Store(engine).generations()[-1].id == 9
    assert not Store(engine).decisions()[0].awaits_live


def test_a_migration_gives_up_rather_than_hold_up_readers(engine, previous, monkeypatch):
    if not is_postgresql(engine):
        pytest.skip("SQLite has one writer, and readers never wait for it")
    monkeypatch.setattr(migrating, "LOCK_TIMEOUT", "100ms")
    before = answers(engine)
    with engine.connect() as reader:
        reader.execute(text(READS["the view"]))  # its transaction goes on: an upgrade must wait for it
        with pytest.raises(Busy, match="another process"):
            migrate(engine)
        assert answers(engine) == before
        with engine.connect() as connection:
            assert current_revision(connection) == previous
    migrate(engine)
    assert answers(engine) == before


def test_grants_to_readers_outlive_an_upgrade(engine):
    if not is_postgresql(engine):
        pytest.skip("SQLite has no roles")
    grants = text("SELECT relacl::text FROM pg_class WHERE oid = 'recommendations'::regclass")
    with engine.begin() as connection:
        connection.execute(text("GRANT SELECT ON recommendations TO PUBLIC"))
        before = connection.scalar(grants)
    migrate(engine)
    with engine.connect() as connection:
        assert connection.scalar(grants) == before
        assert "=r/" in before
