"""The fork server: loads modules once, and then forks a process for each request.

It runs as `python -m deploy.local.forking.server DESCRIPTOR NAME…`. A NAME is a module to load, or
a function (`module:function`) to call once, as it caches its result. The server has one thread and
opens no files, so a forked process is like one that has just loaded the same modules. It differs
from a new interpreter in three ways:

* All processes have the same seed of hashes.
* A process has also loaded modules that only other commands need.
* Variables that Python or the C library read before our code runs have the server's values.

Random numbers still differ: the system's source is asked again, and `random` and OpenSSL notice a
fork.
"""

from __future__ import annotations

import gc
import json
import os
import pkgutil
import resource
import runpy
import signal
import socket
import sys
from pathlib import Path
from typing import Any, Final

from client_sdk.cli import all_commands
from deploy.local.forking.command_line import show_command
from deploy.processes.process import die_with_parent

LARGEST_REQUEST: Final = 128 << 10
LOADED: Final = b"loaded"
"""The server sends this when it has loaded all modules; requests follow after that."""
_THREADS: Final = Path("/proc/self/task")


def main() -> None:
    """Fork a process for each request, until the client closes the socket or ends.

    In each forked process, run its command.
    """
    asked = socket.socket(fileno=int(sys.argv[1]))
    # Loaded modules stay in use, so the garbage collector need not visit them, here and in forks.
    gc.disable()
    for name in sys.argv[2:]:
        found = pkgutil.resolve_name(name)
        if callable(found):
            found()
    all_commands()  # loads the modules that register them
    gc.freeze()
    gc.enable()
    if len(list(_THREADS.iterdir())) != 1:
        sys.exit("a module has started a thread, which a forked process would not have")
    try:
        asked.send(LOADED)
    except BrokenPipeError:
        return  # the client has ended meanwhile
    command = _serve(asked)
    if command is not None:
        module, *sys.argv[1:] = command
        sys.modules.pop(module, None)  # otherwise runpy warns that it is loaded already
        runpy.run_module(module, run_name="__main__", alter_sys=True)


def _serve(asked: socket.socket) -> list[str] | None:
    """Serve requests.

    Returns in the server None, once the client has closed the socket; in a forked process its
    module and arguments.
    """
    while request := asked.recv(LARGEST_REQUEST):
        wanted = json.loads(request)
        may_go, reparented = os.pipe()
        between = os.fork()
        if between:
            os.close(may_go)
            # Now the forked process is an orphan, and becomes a child of the client, which is a
            # subreaper while it waits for the answer.
            os.waitpid(between, 0)
            os.close(reparented)
            continue
        if os.fork():
            os._exit(0)
        os.close(reparented)
        os.read(may_go, 1)
        os.close(may_go)
        try:
            _become(wanted)
        except OSError as error:
            asked.send(str(error).encode())
            os._exit(1)
        asked.send(str(os.getpid()).encode())
        asked.close()
        command: list[str] = wanted["command"]
        return command
    return None


def _become(wanted: dict[str, Any]) -> None:
    """Do in a forked process what `execute` does for a child process.

    Set its session, its limits, its environment, its log, and its command line.
    """
    os.setsid()
    die_with_parent(signal.Signals(wanted["stop_signal"]))
    if os.getppid() != wanted["parent"]:
        os._exit(1)  # the client has ended meanwhile
    for limit, values in enumerate(wanted["limits"]):
        resource.setrlimit(limit, values)
    os.environ.clear()
    os.environ.update(wanted["environment"])
    log = os.open(wanted["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
    show_command([sys.executable, "-m", *wanted["command"]])


if __name__ == "__main__":
    main()
