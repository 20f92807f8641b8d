"""Starts processes by fork, for tests that start many."""

from __future__ import annotations

from typing import Final

from deploy.local.forking.starter import CLI, ForkServers

FORKED: Final = ForkServers((CLI, "tests.integration.core_api.relay_process"), from_first=True)
"""The fork servers of this worker, as the argument `starter` of `Stack` and `Process`."""
