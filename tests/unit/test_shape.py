"""The shape of the project: who may import whom, and pages that are made from the code."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

import core_api.settings
import event_server.settings
from deploy.settings_table import PROCESSES, TARGET, render

ROOT = Path(__file__).parents[2]
SERVERS = ("core_api", "event_server")


def imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_imports_only_the_contract_of_the_sdk_and_never_the_other_server(
    server: str,
) -> None:
    (other,) = set(SERVERS) - {server}
    for path in modules(server):
        for name in imports_of(path):
            assert not name.startswith(other), f"{path} imports {name}"
            if name.startswith("client_sdk"):
                assert name.startswith("client_sdk.contract"), f"{path} imports {name}"


def test_what_the_servers_share_imports_neither_of_them() -> None:
    for path in modules("server_common"):
        for name in imports_of(path):
            assert not name.startswith(SERVERS), f"{path} imports {name}"
            if name.startswith("client_sdk"):
                assert name.startswith("client_sdk.contract"), f"{path} imports {name}"


def test_the_sdk_imports_no_server_and_little_else() -> None:
    allowed = {"client_sdk", "httpx", "msgspec"}
    for path in modules("client_sdk"):
        for name in imports_of(path):
            top = name.partition(".")[0]
            assert top in allowed or top in sys.stdlib_module_names, f"{path} imports {name}"


def test_the_contract_does_no_io_and_looks_at_no_clock() -> None:
    forbidden = {"asyncio", "socket", "time", "random", "httpx", "os", "threading"}
    for path in modules("client_sdk/contract"):
        assert not imports_of(path) & forbidden, path


@pytest.mark.parametrize(
    "module",
    [
        "client_sdk/machine.py",
        "client_sdk/merge.py",
        "client_sdk/orders.py",
        "client_sdk/table.py",
        "core_api/access.py",
        "core_api/leases.py",
        "core_api/log.py",
        "core_api/orders.py",
        "core_api/sync.py",
        "event_server/clock.py",
        "event_server/hub.py",
        "event_server/ring.py",
    ],
)
def test_pure_rules_neither_wait_nor_look_at_a_clock(module: str) -> None:
    tree = ast.parse((ROOT / module).read_text())
    assert not any(isinstance(node, ast.Await | ast.AsyncFunctionDef) for node in ast.walk(tree))
    assert not imports_of(ROOT / module) & {"asyncio", "socket", "time", "random", "httpx"}


def test_the_settings_page_tells_of_every_process() -> None:
    whole = {
        settings
        for module in (core_api.settings, event_server.settings)
        for settings in vars(module).values()
        if isinstance(settings, type) and issubclass(settings, BaseSettings)
        if settings is not BaseSettings and not settings.__subclasses__()
    }
    assert set(PROCESSES.values()) == whole


def test_the_settings_page_is_what_the_code_says() -> None:
    assert (ROOT / TARGET).read_text() == render(), "run make docs"
