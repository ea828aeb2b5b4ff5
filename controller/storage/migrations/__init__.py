"""How a database came to its shape: Alembic's environment and, in `versions`, one file a step."""
