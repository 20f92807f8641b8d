"""The answers to malformed requests: a problem, and the end of the connection. Pure, but for
`answer_all`, which is an application."""

from __future__ import annotations

from collections.abc import Iterable

from starlette.types import Receive, Scope, Send

from client_sdk.contract.problem import MEDIA_TYPE, Problem, encode_problem, problem
from server_common.http.request_heads import Refusal


def problem_of(refusal: Refusal) -> bytes:
    """The body of the answer, as JSON."""
    if refusal.status == 400:
        return encode_problem(problem("bad-request", refusal.detail))
    # No problem type of ours: the sender speaks another protocol (RFC 9457, 4.2.1).
    return encode_problem(Problem("about:blank", refusal.phrase, refusal.status, refusal.detail))


def answer_to(refusal: Refusal, body: bytes, default: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The whole answer, after which the connection is closed.

    Args:
        refusal: why the request is refused.
        body: of the answer.
        default: the headers of every answer.
    """
    head = b"".join(b"%b: %b\r\n" % field for field in default)
    return (
        b"HTTP/1.1 %d %b\r\n%bcontent-type: %b\r\ncontent-length: %d\r\n"
        b"cache-control: no-store\r\nconnection: close\r\n\r\n%b"
        % (refusal.status, refusal.phrase.encode(), head, MEDIA_TYPE.encode(), len(body), body)
    )


async def answer_all(
    status: int, body: bytes, _scope: Scope, _receive: Receive, send: Send
) -> None:
    """An application that gives this answer to every request.

    Args:
        status: of the answer.
        body: of the answer, a problem as JSON.
        _scope, _receive: ASGI's; the request is not looked at.
        send: ASGI's.
    """
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
