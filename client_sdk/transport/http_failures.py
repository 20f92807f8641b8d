"""Converts an answer other than 200 into a failure. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

from client_sdk.contract.problem import TITLES, decode_problem
from client_sdk.errors import RefusedError
from client_sdk.machine.messages import Failure, FailureKind

MAX_RETRY_AFTER_S: Final = 3600.0
MAX_DETAIL_CHARS: Final = 500
_BUSY: Final = frozenset({429, 503})


def refusal(
    status: int,
    phrase: str,
    headers: Mapping[str, str],
    body: bytes,
    unauthorized: FailureKind,
) -> Failure:
    """The failure that an answer means.

    Args:
        status: not 200.
        phrase: the reason phrase of the status line.
        headers: by lower-case name, unless the mapping ignores case.
        body: perhaps a problem (RFC 9457).
        unauthorized: what 401 means here: `unauthorized` from Core, `ticket` from a stream.
    """
    problem = decode_problem(body)
    told = f"{problem.title}: {problem.detail}" if problem else phrase
    detail = shortened(f"{status} {told}")
    if status in _BUSY:
        return Failure("busy", detail, retry_after(headers))
    if status == 401 or (status == 421 and unauthorized == "ticket"):
        # Another server has the channel: the next sync returns its address and a ticket for it.
        return Failure(unauthorized, detail)
    if 400 <= status < 500 and problem is not None and problem.slug in TITLES:
        return Failure("refused", detail, cause=RefusedError(detail, status, problem))
    # A 404 without one of our problems comes from a proxy, as during a deployment: try again.
    return Failure("unreachable", detail)


def shortened(text: str) -> str:
    """An outside text, cut to a length that suits a message."""
    return text if len(text) <= MAX_DETAIL_CHARS else f"{text[:MAX_DETAIL_CHARS]}…"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds (RFC 9110, 10.2.3), at most an hour.

    A date, which a proxy may send, is compared with the answer's own Date: the same clock.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:10])
    else:
        try:
            date = parsedate_to_datetime(headers.get("date", ""))
            seconds = (parsedate_to_datetime(text) - date).total_seconds()
        except (TypeError, ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)
