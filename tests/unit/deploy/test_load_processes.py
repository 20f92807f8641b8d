"""How many processes a load test takes for its clients and their streams."""

from __future__ import annotations

import resource

import pytest

from deploy.load.clients.processes import processes_for, workers_for
from deploy.load.plan import LoadTestError


@pytest.mark.parametrize(
    ("clients", "files", "processes"),
    [
        (1, 20_000, 1),
        (9_500, 20_000, 1),
        (9_501, 20_000, 2),
        (100_000, 20_000, 11),
        (10_000, resource.RLIM_INFINITY, 1),
        (100_000, 1_048_576, 10),
    ],
)
def test_no_process_plays_more_clients_than_its_files_and_its_core_allow(
    clients: int, files: int, processes: int
) -> None:
    assert processes_for(clients, files) == processes


def test_too_few_files_for_a_single_client_are_named() -> None:
    with pytest.raises(LoadTestError, match="a process may open 1,001 files, and clients need"):
        processes_for(1, 1_001)


@pytest.mark.parametrize(
    ("streams", "files", "workers"),
    [(19_000, 20_000, 1), (19_001, 20_000, 2), (110_000, 20_000, 6), (10**6, -1, 1)],
)
def test_the_event_server_has_workers_for_all_streams(
    streams: int, files: int, workers: int
) -> None:
    assert workers_for(streams, files) == workers
