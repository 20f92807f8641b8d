"""A Core for the fuzzing of its API: what that does to it may not trouble others."""

from __future__ import annotations

from tests.parts import core_process

__all__ = ["core_process"]
