"""A Core only for the fuzzing of its API, which must not disturb other tests."""

from __future__ import annotations

from tests.parts import core_process

__all__ = ["core_process"]
