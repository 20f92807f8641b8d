"""The load test's command line: what does not fit together is refused with the reason."""

from __future__ import annotations

from collections import Counter

import pytest

from deploy.load.plan import OWNERS_PER_STORE, LoadTestError, place_of, read_plan


def test_every_client_has_a_place_and_every_table_is_known_to_the_writer() -> None:
    plan = read_plan(["--clients", "57", "--stores", "10"])
    places = Counter(place_of(client, plan.stores, "s") for client in range(plan.clients))
    for store in range(plan.stores):
        name = f"s{store}"
        assert places[name, None] == OWNERS_PER_STORE
        tables = [table for table in plan.tables_of(store) if table is not None]
        assert {table: places[name, table] for table in tables} == dict.fromkeys(tables, 1)
    assert places.total() == plan.clients


def test_a_store_with_terminals_only_has_orders_to_take_away() -> None:
    assert read_plan(["--clients", "4", "--stores", "2"]).tables_of(0) == [None]


def test_faults_are_spread_evenly_over_the_time_under_load() -> None:
    plan = read_plan(["--duration", "90", "--faults", "kill-events, cut-all"])
    assert plan.faults == ("kill-events", "cut-all")
    assert plan.fault_times == [30, 60]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--faults", "burn-all"], "'burn-all' is no fault: choose from kill-events"),
        (["--faults", "cut-all", "--duration", "29"], "1 faults need --duration 30 at least"),
        (["--clients", "3", "--stores", "4"], "--stores 4 must be between 1 and --clients"),
        (["--clients", "0"], "must be above 0"),
        (["--orders", "0"], "must be above 0"),
        (["--lifetime", "90-45"], "the smaller number first"),
        (["--lifetime", "soon"], "'soon' is not seconds such as 45-90"),
        (["--core", "http://10.0.0.1:8000", "--keys", "k"], "is not http:// on this machine"),
        (["--core", "https://127.0.0.1", "--keys", "k"], "is not http:// on this machine"),
        (["--core", "http://127.0.0.1:8000"], "--core needs --keys"),
        (["--keys", "k"], "--keys is for --core only"),
        (
            ["--core", "http://localhost:8000", "--keys", "k", "--faults", "stop-kafka"],
            "only in a system that it started itself",
        ),
        (
            ["--core", "http://[::1]:8000", "--keys", "k", "--kafka", "k:1"],
            "--kafka and --database cannot be used with --core",
        ),
    ],
)
def test_what_cannot_be_run_is_refused_with_the_reason(arguments: list[str], reason: str) -> None:
    with pytest.raises(LoadTestError) as refused:
        read_plan(arguments)
    assert reason in str(refused.value)
