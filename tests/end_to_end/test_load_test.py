"""`make load-test` as ops run it: nothing is lost, also with faults, and thresholds decide."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy.kafka.server import KafkaServer
from deploy.local.postgres import EmbeddedPostgres
from tests.children import child
from tests.end_to_end.conftest import Installation, create_database

pytestmark = [pytest.mark.kafka, pytest.mark.xdist_group("kafka-load"), pytest.mark.slow]
_WITHIN_S = 150


@pytest.fixture(scope="module")
def running(
    kafka: KafkaServer, postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """A system that runs already. Each load test has stores of its own, and breaks nothing."""
    folder = tmp_path_factory.mktemp("running")
    made = Installation(create_database(postgres), kafka.bootstrap, folder, {})
    try:
        made.start()
        yield made
    finally:
        made.kill()


async def load_test(
    out: Path, *arguments: str, files: int | None = None
) -> tuple[int, str, dict[str, Any]]:
    """Its exit status, what it printed, and its report; each process may open so many files."""
    limit = [] if files is None else ["prlimit", f"--nofile={files}"]
    async with child(
        *limit, sys.executable, "-m", "deploy.load", "--out", str(out), *arguments,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    ) as process:  # fmt: skip
        async with asyncio.timeout(_WITHIN_S):
            printed, _ = await process.communicate()
    report = out / "load-test.json"
    assert process.returncode is not None
    found = json.loads(report.read_text()) if report.exists() else {}
    return process.returncode, printed.decode(), found


async def test_it_breaks_its_own_system_and_a_threshold_that_was_missed_fails_it(
    kafka: KafkaServer, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    database = await asyncio.to_thread(create_database, postgres)
    status, printed, report = await load_test(
        tmp_path, "--kafka", kafka.bootstrap, "--database", database, "--clients", "60",
        "--stores", "6", "--orders", "2", "--ramp", "1", "--duration", "24", "--fault-seconds", "2",
        "--faults", "kill-events", "--lifetime", "4-8", "--max-command-p99-ms", "0.01",
    )  # fmt: skip
    assert status == 1, printed
    assert len(report["failures"]) == 1, printed
    assert report["failures"][0].startswith("p99 of command"), printed
    verdict, counts = report["verdict"], report["counts"]
    assert (verdict["lost"], verdict["doubled"], verdict["out_of_order"]) == (0, 0, 0)
    # Each step of an order reaches two terminals and one table.
    assert verdict["checked"] == counts["delivered"] == 3 * counts["committed"]
    assert counts["opened"] > 60, "no stream was ever ended by its timeout"
    (fault,) = report["faults"]
    assert fault["least_live"] < 60
    assert fault["live_again"] is not None
    assert [part["p99"] > 0 for part in report["way_ms"]] == [True] * 5, printed
    page = (tmp_path / "load-test.html").read_text()
    assert page.count("<svg") == 7
    assert "http" not in page, "the page must need nothing else"


async def test_clients_and_streams_are_divided_where_a_process_may_open_few_files(
    kafka: KafkaServer, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    database = await asyncio.to_thread(create_database, postgres)
    status, printed, report = await load_test(
        tmp_path, "--kafka", kafka.bootstrap, "--database", database, "--clients", "60",
        "--stores", "6", "--orders", "2", "--ramp", "1", "--duration", "36", "--fault-seconds", "2",
        "--faults", "kill-events,cut-all", "--lifetime", "4-8", files=1_040,
    )  # fmt: skip
    assert status == 0, printed
    assert report["client_processes"] == 3
    verdict, counts = report["verdict"], report["counts"]
    assert verdict["checked"] == counts["delivered"] == 3 * counts["committed"] > 0
    assert all(fault["least_live"] < 60 for fault in report["faults"])
    workers = (tmp_path / "load-test/log/events.log").read_text()
    assert {f'"worker":{number},' in workers for number in range(2)} == {True}


async def test_a_process_of_clients_that_dies_ends_it_with_a_plain_word(
    running: Installation, tmp_path: Path
) -> None:
    async with child(
        sys.executable, "-m", "deploy.load", "--out", str(tmp_path), "--core", running.core_url,
        "--keys", str(running.folder / "keys.json"), "--clients", "4", "--stores", "2",
        "--ramp", "0", "--duration", "60",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        async with asyncio.timeout(_WITHIN_S):
            while "live 4" not in (line := (await process.stdout.readline()).decode()):
                # A stream that has ended is read without a pause, for ever.
                assert line, "it has ended"
            (clients,) = psutil.Process(process.pid).children()
            clients.kill()
            printed, _ = await process.communicate()
    assert process.returncode == 2
    assert "a process of clients ended (-9)" in printed.decode()
    assert "Traceback" not in printed.decode()


async def test_it_loads_a_system_that_runs_already(running: Installation, tmp_path: Path) -> None:
    status, printed, report = await load_test(
        tmp_path, "--core", running.core_url, "--keys",
        str(running.folder / "keys.json"), "--clients", "20", "--stores", "2", "--orders", "2",
        "--ramp", "0", "--duration", "3",
    )  # fmt: skip
    assert status == 0, printed
    assert "Passed." in printed
    assert report["verdict"]["checked"] == 3 * report["counts"]["committed"] > 0


async def test_compiled_clients_come_back_from_a_cut_and_have_all(
    running: Installation, tmp_path: Path
) -> None:
    status, printed, report = await load_test(
        tmp_path, "--core", running.core_url, "--keys", str(running.folder / "keys.json"),
        "--clients", "30", "--stores", "3", "--orders", "2", "--ramp", "0", "--duration", "30",
        "--faults", "cut-all", "--compiled-clients", files=1_040,
    )  # fmt: skip
    assert status == 0, printed
    assert report["client_processes"] == 2
    verdict, counts = report["verdict"], report["counts"]
    assert verdict["checked"] == counts["delivered"] == 3 * counts["committed"] > 0
    assert counts["opened"] >= 60, "each stream was cut"
    (fault,) = report["faults"]
    assert fault["live_again"] is not None


async def test_a_wrong_key_is_named_and_nothing_is_loaded(
    running: Installation, tmp_path: Path
) -> None:
    keys = tmp_path / "other.json"
    keys.write_text('{"token": "another secret of thirty-two bytes or more"}')
    status, printed, _ = await load_test(
        tmp_path, "--core", running.core_url, "--keys", str(keys), "--clients", "2",
        "--ramp", "0", "--duration", "1",
    )  # fmt: skip
    assert status == 2
    assert "a client gave up" in printed
    assert "signed by a key that this system lacks" in printed or "401" in printed
    assert "Traceback" not in printed
