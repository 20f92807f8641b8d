"""A Core for the fuzzing of its API."""

from __future__ import annotations

from tests.integration.conftest import core_process, postgres_server

__all__ = ["core_process", "postgres_server"]
