"""What the event server refuses, and why.

YabamError
└── EventServerError
    ├── StreamRefusedError    a request is answered with a problem; `.slug` names it
    ├── CoreLostError         Core does not answer the gateway
    ├── OwnershipLostError the gateway's partitions may belong to another one
    └── SourceError           Kafka, as one reading session sees it; the next session starts anew
        ├── SourceLostError   the brokers do not answer: nothing is known to be missing
        └── LogReplacedError  records were removed or the log was replaced: some may be missing
"""

from __future__ import annotations

from client_sdk.contract.errors import YabamError


class EventServerError(YabamError):
    """Anything the event server raises on purpose."""


class StreamRefusedError(EventServerError):
    """The request is refused; the text says what was wrong and what to do.

    Args:
        slug: the problem's name in `contract.problem.TITLES`.
        detail: for the client to read.
        retry_after: seconds; None: a retry does not help.
        url: with `misdirected`, the server to use.
    """

    def __init__(
        self, slug: str, detail: str, retry_after: float | None = None, url: str | None = None
    ) -> None:
        super().__init__(detail)
        self.slug = slug
        self.retry_after = retry_after
        self.url = url


class CoreLostError(EventServerError):
    """Core does not answer, or its answer is wrong; the text says how. Try again."""


class OwnershipLostError(EventServerError):
    """The partitions may no longer be assigned to this gateway: nothing may be published."""


class SourceError(EventServerError):
    """A reading session has ended; the next one begins with a new warm-up."""


class SourceLostError(SourceError):
    """Kafka does not answer, or refuses; the text says how."""


class LogReplacedError(SourceError):
    """Kafka no longer has the records to be read next; the text says where."""
