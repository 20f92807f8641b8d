"""What Core refuses, and why: each error is one row of the problem table."""

from __future__ import annotations

from client_sdk.contract.errors import YabamError
from client_sdk.contract.order import Order


class CoreError(YabamError):
    """Anything Core refuses; the text says what was wrong and what to do."""

    slug: str = "internal"


class BadRequestError(CoreError):
    """The request is malformed; `slug` tells in which part."""

    def __init__(self, detail: str, slug: str = "bad-request") -> None:
        super().__init__(detail)
        self.slug = slug


class InvalidError(CoreError):
    """The body is JSON but breaks a rule; the text names the field."""

    slug = "invalid"


class UnauthorizedError(CoreError):
    """There is no token, or it is forged, expired or of an unknown key."""

    slug = "unauthorized"


class PartyLeftError(UnauthorizedError):
    """The party that a guest's token was made for has left its table."""

    slug = "party-left"


class ProviderError(CoreError):
    """An OpenID provider does not answer, or its answer is wrong; the text says how."""


class ForbiddenError(CoreError):
    """The token is good but does not permit this."""

    slug = "forbidden"


class NotFoundError(CoreError):
    """There is no such thing, or this caller may not know of it."""

    slug = "not-found"


class RefusedStepError(CoreError):
    """A command does not fit the order as it stands, which the answer shows."""

    def __init__(self, detail: str, order: Order) -> None:
        super().__init__(detail)
        self.order = order
        self.epoch: str | None = None
        """The epoch of the log that the order was read from, if it was read."""


class ImpossibleTransitionError(RefusedStepError):
    """The order cannot take this step from where it is."""

    slug = "impossible-transition"


class StaleVersionError(RefusedStepError):
    """The order is not at the version that the command was made on."""

    slug = "stale-version"


class IdempotencyMismatchError(CoreError):
    """The Idempotency-Key came with another request before."""

    slug = "idempotency-mismatch"


class TooManyRevocationsError(CoreError):
    """As many tokens, sessions and subjects are revoked as may be."""

    slug = "too-many-revocations"


class TooManyWebhooksError(CoreError):
    """As many webhooks are registered as may be."""

    slug = "too-many-webhooks"


class TooManyOpenError(CoreError):
    """The table, the store or the subject has as many open orders as it may have."""

    slug = "too-many-open"


class TooManyDevicesError(CoreError):
    """The store has as many registered devices as it may have."""

    slug = "too-many-devices"


class TooManyCommandsError(CoreError):
    """The device has as many commands without an answer as it may have."""

    slug = "too-many-commands"


class TooManyDocumentsError(CoreError):
    """The channel has as many documents, or bytes of them, as it may have."""

    slug = "too-many-documents"


class TooManyClientsError(CoreError):
    """The subject has as many clients of edits as it may have."""

    slug = "too-many-clients"


class EditGapError(CoreError):
    """An edit's number leaves out some that are not settled; none of the request is."""

    slug = "edit-gap"

    def __init__(self, detail: str, settled: int) -> None:
        super().__init__(detail)
        self.settled = settled
        """The client's last settled number."""


class ClientTakenError(CoreError):
    """The client of the edits belongs to another subject."""

    slug = "client-taken"


class EditMismatchError(CoreError):
    """An edit's number came with another content before."""

    slug = "edit-mismatch"


class SoldOutError(CoreError):
    """The order names what the store has sold out."""

    slug = "sold-out"

    def __init__(self, detail: str, items: list[str]) -> None:
        super().__init__(detail)
        self.items = items
        """Their names."""


class NotTakingOrdersError(CoreError):
    """The store takes no orders now."""

    slug = "not-taking-orders"


class ConflictError(CoreError):
    """Other writers changed the order or the document first, as often as we tried."""

    slug = "conflict"


class TooMuchError(CoreError):
    """A limit is reached; nothing was done. Try again after `retry_after` seconds."""

    def __init__(self, detail: str, retry_after: float) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class OverloadedError(TooMuchError):
    """All callers together exceed what this Core serves at once."""

    slug = "overloaded"


class RateLimitedError(TooMuchError):
    """This caller asks too often."""

    slug = "too-many-requests"


class UnavailableError(CoreError):
    """Postgres cannot be reached; nothing is known to be written. Try again."""

    slug = "unavailable"
    retry_after = 1.0

    def __init__(self, detail: str, told: str = "the database does not answer") -> None:
        super().__init__(detail)
        self.told = told
        """What clients may read: the detail may name hosts."""


class ProviderKeysUnknownError(UnavailableError):
    """The OpenID provider's keys must be read before a token can be verified."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail, detail)


class LockedError(UnavailableError):
    """Another transaction holds a lock that the statement needs; nothing is written."""


class UnreadableRowError(UnavailableError):
    """Postgres answers, but cannot read one of the rows, which is damaged."""
