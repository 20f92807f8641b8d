"""Alembic's home; run through `core_api.storage.migrate` and `yabam db upgrade`."""
