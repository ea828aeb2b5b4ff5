"""Brings a database to the version of this program, and refuses one that is newer.

A fresh file and an old one go the same way: every step that is missing, in order, in one transaction.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from controller.domain.errors import StartUpError


def upgrade(connection: Connection, database: str, *, to: str = "head") -> None:
    """Runs the migration steps that the database lacks.

    Args:
        connection: An open transaction; the caller commits it.
        database: How the database is named in an error.
        to: The version to go to; `head` is the program's own.

    Raises:
        StartUpError: If the database is at a version that this program does not know.
    """
    # Alembic takes a fifth of a second to import, which only opening a database should cost.
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    known = {script.revision for script in scripts.walk_revisions()}
    current = set(MigrationContext.configure(connection).get_current_heads())
    if unknown := current - known:
        raise StartUpError(
            f"the database {database} was written by a newer version of Wijkstroom "
            f"(its version {', '.join(sorted(unknown))} is unknown here): update the program"
        )
    if to != "head" or current != set(scripts.get_heads()):
        command.upgrade(config, to)
