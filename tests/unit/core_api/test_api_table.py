"""Core's routes and its OpenAPI document come from one table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Route

from core_api.api.app import core_app
from core_api.api.openapi import document
from core_api.api.routes import operations
from tests.unit.core_api.test_fast_path import (
    core,
    handlers,
)

Json = dict[str, Any]


def described() -> Iterator[tuple[str, str, Json]]:
    """Each operation of the document: its path, its method, what is said of it."""
    every = operations(handlers(core()))
    for path, methods in document(every)["paths"].items():
        for method, said in methods.items():
            yield path, method.upper(), said


def served() -> set[tuple[str, str]]:
    app: Any = core_app(handlers(core()), ["*"]).behind
    assert isinstance(app, Starlette)
    routes = [route for route in app.routes if isinstance(route, Route)]
    assert len(routes) == len(app.routes)
    return {(r.path, method) for r in routes for method in (r.methods or set()) - {"HEAD"}}


def test_what_is_served_is_what_is_described() -> None:
    assert served() == {(path, method) for path, method, _ in described()}


def test_each_operation_has_a_name_of_its_own() -> None:
    names = [said["operationId"] for _, _, said in described()]
    assert len(names) == len(set(names))


def test_each_answer_says_what_it_means() -> None:
    for path, method, said in described():
        for status, answer in said["responses"].items():
            assert answer["description"], f"{method} {path}: {status} is no status of a problem"


def test_each_part_of_a_path_is_described() -> None:
    for path, method, said in described():
        named = {one["name"] for one in said["parameters"] if one["in"] == "path"}
        assert named == set(re.findall(r"{(\w+)}", path)), f"{method} {path}"


def test_only_probes_the_document_itself_a_devices_password_and_a_code_need_no_token() -> None:
    open_to_all = {path for path, _, said in described() if said.get("security") == []}
    assert open_to_all == {
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/v1/devices/token",
        "/v1/tokens/pairings",
    }
