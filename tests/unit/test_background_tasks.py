"""The servers' tasks run under a `Supervisor`, or as short tasks whose end is read: no module
starts one by itself, except those below."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

# One worker parses all modules once.
pytestmark = pytest.mark.xdist_group("shape")

ROOT = Path(__file__).parents[2]
SERVERS = ("core_api", "event_server", "server_common")
STARTS = {"create_task", "ensure_future", "run_in_executor", "Thread", "Timer", "start_new_thread"}

SUPERVISE: Final = {"server_common/supervision.py", "server_common/short_tasks.py"}

AWAITED = "the one that starts it awaits it, and raises what it has raised"
CLOSING = "it closes what is given up; the one that starts it waits for its end, whatever that is"
EXCEPTIONS: Final = {
    "core_api/dashboard/sampler.py": (1, "it lives while somebody watches, and guards itself"),
    "core_api/ingest/by_key.py": (2, AWAITED),
    "core_api/kafka/batch_producer.py": (1, CLOSING),
    "core_api/kafka/publisher.py": (
        2,
        "the relay reads how a batch ended; a standby is tried again",
    ),
    "core_api/pages/serving.py": (1, "it only compresses a file, which is sent without, too"),
    "core_api/postgres/query_batching.py": (1, "any end of a query is given to its callers"),
    "core_api/relay/relay.py": (1, AWAITED),
    "core_api/webhooks/posting.py": (1, "it looks up a name; whoever asked gets any end of it"),
    "event_server/http/server.py": (1, "it drains; whatever fails, the process stops then"),
    "event_server/kafka/session_check.py": (1, "the next look reads how it ended"),
    "event_server/mqtt_gateway/together.py": (1, AWAITED),
    "event_server/push/asgi_socket.py": (3, "the first that ends, however, ends their socket"),
    "server_common/kafka/clients.py": (2, AWAITED),
    "server_common/mqtt/connection.py": (2, "the first is awaited; the other guards each step"),
}
"""How many each of these modules starts, and why none of them can end unseen."""


def started_in(text: str) -> int:
    """How many tasks or threads a module starts by itself."""
    return sum(
        isinstance(node, ast.Attribute | ast.Name)
        and (node.attr if isinstance(node, ast.Attribute) else node.id) in STARTS
        for node in ast.walk(ast.parse(text))
    )


@pytest.mark.parametrize(
    "text",
    ["asyncio.create_task(work())", "ensure_future(work())", "threading.Thread(target=work)"],
)
def test_each_way_to_start_a_task_is_seen(text: str) -> None:
    assert started_in(text) == 1


def test_no_module_starts_a_task_that_nobody_looks_after() -> None:
    found = Counter(
        {
            name: started_in(path.read_text())
            for server in SERVERS
            for path in (ROOT / server).rglob("*.py")
            if (name := str(path.relative_to(ROOT))) not in SUPERVISE
        }
    )
    assert dict(+found) == {name: count for name, (count, _why) in EXCEPTIONS.items()}
