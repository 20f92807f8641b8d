"""What one operation of the API is: its handler and its description in one value.

Core's routes and its OpenAPI document are both made from one list of these
(`core_api/api/routes.py`), so nothing can be served that is not described.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core_api.api.parameters import Parameter

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation answers when it succeeds."""

    type: Any = None
    """The type of its JSON; None: it is text, or its JSON has no type of ours."""
    media_type: str = JSON
    """Empty: the answer has no body."""
    description: str = "Done"
    status: int = 200
    also: tuple[int, ...] = ()
    """Other statuses of the same answer."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    method: Literal["GET", "POST", "PATCH", "PUT", "DELETE"]
    path: str
    name: str
    """The `operationId`, by which generated clients call it."""
    handler: Handler
    summary: str
    answer: Answer
    problems: tuple[int, ...] = ()
    """The statuses of the problems that it may answer, each in the contract's `TITLES`."""
    parameters: tuple[Parameter, ...] = ()
    body: Any = None
    """The type of the request's JSON; None: it takes no body."""
    needs_token: bool = True


def routes_of(operations: Sequence[Operation]) -> list[Route]:
    """The routes that serve the operations, one for each path, in the order of the operations.

    A path has one route for all its methods, so that a 405 names all of them.
    """
    by_path: dict[str, dict[str, Handler]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation.handler
    return [_route(path, handlers) for path, handlers in by_path.items()]


def _route(path: str, handlers: dict[str, Handler]) -> Route:
    async def handle(request: Request) -> Response:
        return await handlers["GET" if request.method == "HEAD" else request.method](request)

    return Route(path, handle, methods=list(handlers))
