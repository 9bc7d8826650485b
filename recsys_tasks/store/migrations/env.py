"""Alembic's entry: always on the connection that ``store.migrate`` opened and locked."""

from alembic import context

from recsys_tasks.store.migrate import OPTIONS

context.configure(connection=context.config.attributes["connection"], **OPTIONS)
with context.begin_transaction():
    context.run_migrations()
