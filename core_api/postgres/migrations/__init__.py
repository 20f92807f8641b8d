"""Alembic's home; run through `core_api.postgres.migrate` and `yabam db upgrade`."""
