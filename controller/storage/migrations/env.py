"""Alembic runs this file for every command; the connection is handed over by `controller.storage.migrate`.

There is one transaction around all steps (SQLite can undo a CREATE TABLE too): a database is either at
its old version or at the new one, never in between.
"""

from __future__ import annotations

from alembic import context

from controller.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
