"""Scripts of SQL within a migration."""

from __future__ import annotations

from alembic import op


def run(script: str) -> None:
    """Run a script's statements one by one; each ends with a semicolon at the end of its line."""
    for statement in script.split(";\n"):
        if statement.strip():
            op.execute(statement)
