"""The process that forks: it loads modules, and then becomes a command's process for each request.

Run as `python -m deploy.local.forking.server DESCRIPTOR NAME…`: names of modules, or of functions
(`module:function`), which are called for what they remember. It has one thread and opens nothing,
so what is forked from it is as a process that has just loaded the same modules. Three things of a
new interpreter are missing: all children have one seed of hashes, a child has modules that other
commands need, and what a variable tells Python or the C library before our code runs is as it was
for the server. Randomness is each child's own: the system's is asked again, and `random` and
OpenSSL notice a fork.
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
"""Sent before the first request is taken."""
_THREADS: Final = Path("/proc/self/task")


def main() -> None:
    """Fork until nobody asks any more; in each child run its command."""
    asked = socket.socket(fileno=int(sys.argv[1]))
    # Modules stay, so there is no garbage to look for among them, here or in a child.
    gc.disable()
    for name in sys.argv[2:]:
        found = pkgutil.resolve_name(name)
        if callable(found):
            found()
    all_commands()  # loads what registers them
    gc.freeze()
    gc.enable()
    if len(list(_THREADS.iterdir())) != 1:
        sys.exit("a module has started a thread, which would be missing in what is forked")
    try:
        asked.send(LOADED)
    except BrokenPipeError:
        return  # who asked has ended meanwhile
    command = _serve(asked)
    if command is not None:
        module, *sys.argv[1:] = command
        sys.modules.pop(module, None)  # it is to be run, not to be there already
        runpy.run_module(module, run_name="__main__", alter_sys=True)


def _serve(asked: socket.socket) -> list[str] | None:
    """None once nobody asks any more; in a child, its module and arguments."""
    while request := asked.recv(LARGEST_REQUEST):
        wanted = json.loads(request)
        may_go, reparented = os.pipe()
        between = os.fork()
        if between:
            os.close(may_go)
            # Its child belongs to the one who asked from here on: that one is a subreaper now.
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
    """Make of a fork what `Process` makes of a child before and by exec."""
    os.setsid()
    die_with_parent(signal.Signals(wanted["stop_signal"]))
    if os.getppid() != wanted["parent"]:
        os._exit(1)  # who asked has ended meanwhile
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
