"""A process that was forked is as one that was started by exec, for all that tests do with it."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path

import psutil
import pytest

from deploy.local.forking import starter
from deploy.local.forking.starter import ForkedChild, ForkServers
from deploy.processes.ports import LOOPBACK, answers, free_port
from deploy.processes.process import Process, ProcessError

ROOT = Path(__file__).parents[3]
YABAM = [sys.executable, "-m", "client_sdk.cli"]
OF_STATUS = (
    "SigB",
    "SigI",
    "SigC",
    "Cap",
    "Umask",
    "Groups",
    "Uid",
    "Gid",
    "NoNewPrivs",
    "Cpus",
)
Start = Callable[..., Process]


@pytest.fixture(scope="module", autouse=True)
def little_is_loaded() -> Iterator[None]:
    """What an event server needs; all else is loaded by the servers of other tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(starter._LOADED, "core", [])
        patch.setitem(starter._LOADED, "other", ["event_server.commands.serve"])
        yield


@pytest.fixture(scope="module")
def loaded() -> Iterator[ForkServers]:
    """Servers for the tests that need no new ones: all processes are forked."""
    found = ForkServers()
    found.load()
    yield found
    found.close()


@pytest.fixture
def servers() -> Iterator[ForkServers]:
    """New ones: the first process is started by exec."""
    found = ForkServers()
    yield found
    found.close()


@pytest.fixture
def fork(loaded: ForkServers, tmp_path: Path) -> Iterator[Start]:
    """Starts an event server with these settings, for the time of a test."""
    yield from starts(loaded, tmp_path)


@pytest.fixture
def start(servers: ForkServers, tmp_path: Path) -> Iterator[Start]:
    """The same by new servers."""
    yield from starts(servers, tmp_path)


def starts(servers: ForkServers, folder: Path) -> Iterator[Start]:
    started = []

    def start_one(**settings: str) -> Process:
        process = an_event_server(folder, servers, **settings)
        process.start()
        started.append(process)
        return process

    yield start_one
    for one in started:
        one.kill()


def an_event_server(folder: Path, servers: ForkServers, **more: str) -> Process:
    """One without a Kafka."""
    port = free_port()
    settings = {
        "YABAM_KAFKA": f"{LOOPBACK}:1",
        "YABAM_TICKET_KEYS": '{"local": "tttttttttttttttttttttttttttttttt"}',
        "YABAM_TICKET_KID": "local",
        "YABAM_TOKEN_KEYS": '{"local": "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"}',
        "YABAM_EVENTS_PORT": str(port),
    }
    url = f"http://{LOOPBACK}:{port}"
    log = folder / f"{port}" / "log"
    return Process("events", [*YABAM, "events"], settings | more, log, url, starter=servers)


def until_it_answers(process: Process) -> psutil.Process:
    """It, once it has begun to work."""
    port = int(str(process.health_url).rpartition(":")[2])
    while not answers(port):
        assert process.running, process.log_tail()
        time.sleep(0.02)
    connection = HTTPConnection(LOOPBACK, port, timeout=60)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    connection.close()
    return psutil.Process(process.pid)


def as_the_kernel_sees_it(process: Process, found: psutil.Process) -> dict[str, object]:
    status = Path(f"/proc/{found.pid}/status").read_text().splitlines()
    files = [one.readlink().name for one in Path(f"/proc/{found.pid}/fd").iterdir()]
    return {
        **{line.partition(":")[0]: line for line in status if line.startswith(OF_STATUS)},
        # Not counted: a socket that is being connected to the Kafka that is not there.
        "files": sorted(one.partition(":")[0] for one in files if "socket:" not in one),
        "logs twice": files.count(process.log.name) == 2,
        "pairs of sockets": len(found.net_connections("unix")),
        "folder": found.cwd(),
        "parent": found.ppid(),
        "leads its session": os.getsid(found.pid) == os.getpgid(found.pid) == found.pid,
        "limits": Path(f"/proc/{found.pid}/limits").read_text(),
        "priority": found.nice(),
    }


@pytest.fixture
def fewer_messages() -> Iterator[None]:
    """A limit that is another than when the fork server was started."""
    before = resource.getrlimit(resource.RLIMIT_MSGQUEUE)
    resource.setrlimit(resource.RLIMIT_MSGQUEUE, (4096, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_MSGQUEUE, before)


def test_the_kernel_sees_no_difference(fork: Start, request: pytest.FixtureRequest) -> None:
    fork().kill()
    request.getfixturevalue("fewer_messages")
    ways, seen = [], []
    for by_exec in ({"LD_PRELOAD": ""}, {}):
        process = fork(**by_exec)
        found = until_it_answers(process)
        process.suspend()  # its attempts to reach a Kafka would come and go
        while found.status() != psutil.STATUS_STOPPED:
            assert process.running
        seen.append(as_the_kernel_sees_it(process, found))
        ways.append(type(process._child))
    assert ways == [subprocess.Popen, ForkedChild]
    executed, forked = seen
    assert forked == executed
    assert forked["parent"] == os.getpid()
    assert forked["logs twice"]


def test_it_takes_signals_and_its_end_is_noticed(fork: Start) -> None:
    process = fork()
    until_it_answers(process)
    assert process.running
    assert process._child is not None
    with pytest.raises(subprocess.TimeoutExpired):
        process._child.wait(0.01)
    process.suspend()
    process.resume()
    assert process.stop() == 0
    assert not process.running
    process.start()
    process.kill()
    assert process.exit_status == -signal.SIGKILL
    assert not psutil.pid_exists(process.pid)


def test_its_command_its_environment_and_its_log_are_its_own(
    tmp_path: Path, loaded: ForkServers, fork: Start
) -> None:
    told = []
    for name, by_exec in (("first", {"LD_PRELOAD": ""}), ("second", {}), ("third", {})):
        process = fork(YABAM_EVENTS_PORT=f"no port of the {name}", **by_exec)
        with pytest.raises(ProcessError):
            process.finish()
        assert process.exit_status == 2
        told.append(process.log.read_text().replace(name, "first"))
    assert "no port of the first" in told[0]
    assert told == told[:1] * 3
    log = tmp_path / "new" / "log"
    process = Process("none", [*YABAM, "tial"], {}, log, None, starter=loaded)
    process.start()
    with pytest.raises(ProcessError, match="tial"):
        process.finish()


@pytest.mark.parametrize("kind", [{}, {"PYTHONMALLOC": "malloc"}])
def test_the_first_of_a_kind_and_what_a_fork_cannot_do_are_started_by_exec(
    start: Start, kind: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def way(**more: str) -> type:
        return type(start(**kind, **more)._child)

    assert way() is subprocess.Popen
    assert way() is ForkedChild
    assert way(LD_PRELOAD="") is subprocess.Popen
    assert way(TZ="Asia/Seoul") is subprocess.Popen
    with monkeypatch.context() as changed:
        changed.setenv("PYTHONPATH", str(ROOT))
        assert way() is subprocess.Popen
    with monkeypatch.context() as changed:
        changed.chdir(tmp_path)
        assert way() is subprocess.Popen
    assert way() is ForkedChild


def test_after_load_the_first_is_forked_too(start: Start, servers: ForkServers) -> None:
    servers.load()
    assert type(start()._child) is ForkedChild


def test_who_starts_many_has_the_first_forked_too(tmp_path: Path) -> None:
    servers = ForkServers(from_first=True)
    process = an_event_server(tmp_path, servers)
    try:
        process.start()
        until_it_answers(process)
        assert type(process._child) is ForkedChild
    finally:
        process.kill()
        servers.close()


def test_ps_shows_the_command(fork: Start) -> None:
    found = until_it_answers(fork())
    assert found.cmdline() == [*YABAM, "events"]


def test_a_title_is_cut_off_where_the_arguments_end() -> None:
    program = """
import sys
from deploy.local.forking.command_line import show_command
show_command(["x" * 9, "y" * 100_000])
print(open("/proc/self/cmdline").read(), "|", open("/proc/self/environ").read(), end="")
"""
    shown, _, environment = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"ONLY": "this", "PYTHONPATH": str(ROOT)},
        check=True,
    ).stdout.partition(" | ")
    assert shown.startswith("x" * 9 + " yyy")
    assert len(shown) <= len(f"{sys.executable} -c {program} ")
    assert environment.split("\0")[:2] == ["ONLY=this", f"PYTHONPATH={ROOT}"]


def test_what_cannot_be_loaded_is_started_by_exec(
    start: Start, servers: ForkServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(starter._LOADED, "other", ["there.is.no.such.module"])
    servers.load()
    process = start()
    until_it_answers(process)
    assert type(process._child) is subprocess.Popen


def test_a_server_with_a_thread_forks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "with_a_thread.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
    )
    modules = [*starter._LOADED["other"], "with_a_thread"]
    monkeypatch.setitem(starter._LOADED, "other", modules)
    with monkeypatch.context() as changed:
        changed.setenv("PYTHONPATH", str(tmp_path))
        servers = ForkServers()
        servers.load()
        process = an_event_server(tmp_path, servers)
        process.start()
    try:
        assert type(process._child) is subprocess.Popen
    finally:
        process.kill()
        servers.close()


def test_a_server_that_was_killed_is_replaced(start: Start, servers: ForkServers) -> None:
    start()
    start()
    (server,) = servers._servers.values()
    server._process.kill()
    server._process.wait()
    process = start()
    until_it_answers(process)
    assert process.stop() == 0


def test_a_log_that_cannot_be_written_is_told(loaded: ForkServers, tmp_path: Path) -> None:
    process = an_event_server(tmp_path, loaded)
    process.log.mkdir(parents=True)
    with pytest.raises(ProcessError, match="Is a directory"):
        process.start()


def test_it_ends_with_the_one_who_asked(tmp_path: Path) -> None:
    program = f"""
import os
from pathlib import Path
from deploy.local.forking.starter import ForkServers
from tests.unit.deploy.test_forking import an_event_server, until_it_answers
servers = ForkServers()
for name in "ab":
    process = an_event_server(Path({str(tmp_path)!r}) / name, servers)
    process.start()
    until_it_answers(process)
print(process.pid, process.log, flush=True)
os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    pid, log = done.stdout.split()
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(pid)).wait(60)
    assert "events_stopped" in Path(log).read_text()
