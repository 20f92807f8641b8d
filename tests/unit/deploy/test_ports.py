"""Free ports: no two processes are given the same one."""

from __future__ import annotations

import functools
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from deploy.processes import ports
from deploy.processes.ports import LOOPBACK, PortTakenError, free_port, free_ports

_MANY = 100


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Reservations of the test's own; those of this process go on."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    own = functools.cache(ports._reserved.__wrapped__)
    monkeypatch.setattr(ports, "_reserved", own)
    yield
    own.cache_clear()


def test_a_process_is_not_given_the_ports_of_another() -> None:
    first = free_port() // 100 * 100
    given = f"range({first}, {first + 100}, 100)"
    only = f"from deploy.processes import ports; ports._FIRST_PORTS = {given}"
    child = subprocess.run(
        [
            sys.executable,
            "-c",
            f"from deploy.processes import ports; {only}; print(ports.free_port())",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.stdout == ""
    assert "PortTakenError: Other processes have reserved all ports" in child.stderr


def test_a_process_that_was_forked_has_ports_of_its_own() -> None:
    mine = {free_port() for _ in range(_MANY)}
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        os.write(write, " ".join(str(free_port()) for _ in range(_MANY)).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as said:
        theirs = set(map(int, said.read().split()))
    os.waitpid(child, 0)
    assert theirs
    assert mine.isdisjoint(theirs)


def test_a_port_comes_again_only_when_all_others_of_the_process_had_their_turn() -> None:
    given = [free_port() for _ in range(250)]
    assert all(len(set(given[n : n + 60])) == 60 for n in range(len(given) - 60))


def test_a_port_in_use_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, free_port()))
        assert taken.getsockname()[1] not in {free_port() for _ in range(_MANY)}


def test_ports_in_a_row_are_given_to_nobody_else() -> None:
    # Half of what there is: where others use ports of the range, a turn is shorter.
    rows = [free_ports(3) for _ in range(16)]
    assert all(len(row) == 3 and row.step == 1 for row in rows)
    given = [port for row in rows for port in row]
    assert len(set(given)) == len(given)
    assert {free_port() for _ in range(_MANY)}.isdisjoint(given)


def test_a_row_with_a_port_in_use_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, free_ports(3)[1]))
        assert not any(taken.getsockname()[1] in free_ports(3) for _ in range(_MANY))


def test_a_machine_without_a_free_port_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_can_be_bound", lambda _port: False)
    with pytest.raises(PortTakenError, match=r"All ports from \d+ to \d+ .* are taken"):
        free_port()


def test_a_machine_whose_ports_are_all_reserved_says_so(tmp_path: Path) -> None:
    held = list(islice(iter(lambda: ports._reserve(tmp_path), None), len(ports._FIRST_PORTS)))
    with pytest.raises(PortTakenError, match="reserved all ports from 15000 to 31999"):
        ports._reserve(tmp_path)
    for lock, _ in held:
        lock.close()
