"""The SDK's public names: each is loaded from its module when it is first asked for."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import client_sdk


def declared_for_type_checkers() -> dict[str, str]:
    tree = ast.parse(Path(client_sdk.__file__).read_text())
    (block,) = [node for node in tree.body if isinstance(node, ast.If) and not node.orelse][:1]
    return {
        alias.name: node.module or ""
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_every_public_name_is_there_and_listed() -> None:
    assert set(client_sdk._MODULES) <= set(dir(client_sdk))
    given: dict[str, object] = {}
    exec("from client_sdk import *", given)
    assert given.keys() - {"__builtins__"} == client_sdk._MODULES.keys()
    assert None not in given.values()


def test_what_is_loaded_is_what_a_type_checker_sees() -> None:
    assert declared_for_type_checkers() == client_sdk._MODULES


def test_a_name_that_is_none_is_told_as_usual() -> None:
    with pytest.raises(AttributeError, match="module 'client_sdk' has no attribute 'Nothing'"):
        client_sdk.Nothing  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize(
    ("program", "spared"),
    [
        ("import client_sdk.contract.channel", {"httpx", "sqlite3", "asyncio"}),
        (
            "from client_sdk import OrderProducer",
            {"client_sdk.shared_state", "client_sdk.buffered"},
        ),
    ],
)
def test_a_program_loads_only_what_it_asks_for(program: str, spared: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{program}; import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert "client_sdk.contract.channel" in loaded
    assert not spared & loaded


def test_the_event_server_loads_no_http_client() -> None:
    program = "import event_server.main, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not {"httpx", "sqlite3"} & set(done.stdout.split())


def test_make_run_loads_nothing_that_only_migrations_and_servers_need() -> None:
    program = "import deploy.local.__main__, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not {"aiokafka", "alembic", "sqlalchemy", "starlette", "structlog", "uvicorn"} & set(
        done.stdout.split()
    )
