"""Postgres: connections, errors, tables, migrations, and statements that many requests share."""
