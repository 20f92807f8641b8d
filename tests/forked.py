"""Starts the processes of tests by forking them, for those that start many."""

from __future__ import annotations

from typing import Final

from deploy.local.forking.starter import CLI, ForkServers

FORKED: Final = ForkServers((CLI, "tests.integration.core_api.relay_process"), from_first=True)
"""Those of this worker. For `Stack` and `Process`."""
