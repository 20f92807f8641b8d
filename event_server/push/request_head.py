"""The rules that the head of every request must keep, on either push path. Pure.

RFC 9112, section 3.2: a request of HTTP/1.1 without a Host, with two of them, or with one that is
no host, is refused. If a server accepts them, a proxy and the server may disagree about the
request's host.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from event_server.errors import StreamRefusedError

_HOST: Final = re.compile(
    rb"(?:[A-Za-z0-9._~!$&'()*+,;=%-]{1,255}|\[[0-9A-Fa-fv:.]{2,64}\])(?::[0-9]{0,5})?"
)


def check_head(version: str, hosts: Sequence[bytes]) -> None:
    """Check a request's version (`1.1`) and its Host headers.

    Raises:
        StreamRefusedError: they break one; the bytes after such a request cannot be trusted either.
    """
    if version not in ("1.0", "1.1"):
        raise StreamRefusedError("bad-request", "this server speaks HTTP/1.1 and HTTP/1.0")
    if len(hosts) > 1:
        raise StreamRefusedError(
            "bad-request", "the request has more than one Host header: send one"
        )
    if not hosts:
        if version == "1.1":
            raise StreamRefusedError("bad-request", "the request has no Host header: send one")
    elif _HOST.fullmatch(hosts[0]) is None:
        raise StreamRefusedError("bad-request", "the Host header is not host[:port]")
