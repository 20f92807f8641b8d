"""What the operator declares of a document, checked and compiled once. Pure.

Definitions are written in Python and found through the entry points of the group
`yabam.definitions`, each of which names an iterable of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import EntryPoint
from typing import Any, Final, Literal, TypeAlias, get_args

import jsonschema_rs

from client_sdk.contract.errors import StateError
from client_sdk.contract.state.pointer import format_pointer
from client_sdk.contract.state.values import Value, check_document, copy
from client_sdk.contract.text import is_id
from server_common.errors import SettingsError

GROUP: Final = "yabam.definitions"
"""The group of entry points that definitions are found by."""

Scope = Literal["device", "party", "team", "public", "brand", "global"]
"""A kind of channel that documents live in; private ones never come to Core."""
StrategyName = Literal["last", "first", "merge", "sum", "ask", "call"]
Lifetime = Literal["persistent", "until", "session", "each"]

Migration: TypeAlias = Callable[[Value], Value]
"""From a value of one schema version to the next; pure, and leaves what it is given as it is."""
CallFunction: TypeAlias = Callable[[Value | None, Any], Value | None]
"""`(current, arguments) -> value`: pure and quick; raises `CallRefusedError` to refuse."""

SCOPES: Final[frozenset[str]] = frozenset(get_args(Scope))
_CORES_SCOPES: Final = frozenset({"device"})
"""Where Core makes documents that nobody else can make, such as a device's status."""
_STRATEGIES: Final[frozenset[str]] = frozenset(get_args(StrategyName))
_LIFETIMES: Final[frozenset[str]] = frozenset(get_args(Lifetime))


MAX_MESSAGE_CHARS: Final = 400
"""How much is told of what is wrong with a value: the answer to each edit is kept."""


class DefinitionError(SettingsError):
    """A definition is wrong, or two say different things of one document; Core does not start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """The rules for all documents of one key in some scopes.

    Raises:
        DefinitionError: it contradicts itself; the text names the key and the field.
    """

    key: str
    """The document's key. That of a session is this, a dot, and its client's id; that of one in a
    family is this, a dot, and its own name."""
    scopes: frozenset[str]
    """The kinds of channels that it may stand in, of `SCOPES`."""
    schema: Mapping[str, Any]
    """The JSON Schema of its value."""
    strategy: StrategyName
    """How a concurrent edit is settled."""
    writers: frozenset[str]
    """The roles that may edit it, where they may write the channel; none: Core alone makes it."""
    schema_version: int = 1
    is_family: bool = False
    """Whether a channel may have many of them, each with its own name after the key."""
    lifetime: Lifetime = "persistent"
    """Its lifetime. With `each`, Core, which alone makes the documents, sets the end of each."""
    until: datetime | None = None
    """When it ends, with the lifetime `until`."""
    history_s: int = 30 * 86_400
    """How long its versions are kept, in seconds."""
    max_age_s: int = 7 * 86_400
    """How old an edit may be when it is settled, in seconds."""
    migrations: Mapping[int, Migration] = field(default_factory=dict)
    """Migrations by the schema version that they start from; each gives the next version."""
    calls: Mapping[str, CallFunction] = field(default_factory=dict)
    """The functions that `call` may name."""
    _validator: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for complaint in self._complaints():
            raise DefinitionError(f"the definition of {self.key!r}: {complaint}")
        object.__setattr__(self, "_validator", self._compile())

    @property
    def oldest_schema(self) -> int:
        """The oldest schema version whose values can be migrated."""
        return min(self.migrations, default=self.schema_version)

    def migrate(self, value: Value | None, since: int, to: int | None = None) -> Value | None:
        """The value as another version of the schema has it.

        Args:
            value: is left as it is; None: there is no document, before and after.
            since: the version that the value fits.
            to: the version to migrate to; None: the newest.

        Raises:
            StateError: there is no migration between these versions, or one fails on this value.
        """
        newest = self.schema_version if to is None else to
        if since == newest:
            return value
        if not self.oldest_schema <= since < newest:
            raise StateError(f"there is no migration from schema version {since} to {newest}")
        if value is None:
            return None
        for version in range(since, newest):
            try:
                value = self.migrations[version](copy(value))
                check_document(value)
            except Exception as error:
                raise StateError(
                    f"the migration from schema version {version} fails on this value: "
                    f"{type(error).__name__}"
                ) from error
        return value

    def violation(self, value: Value) -> tuple[str, str] | None:
        """Where the value first breaks the schema, a JSON Pointer, and how; None: it fits."""
        if self._validator.is_valid(value):
            return None
        error = next(iter(self._validator.iter_errors(value)))
        pointer = format_pointer(tuple(str(part) for part in error.instance_path))
        return pointer, _shortened(error.message)

    def described(self) -> dict[str, Any]:
        """The definition as clients see it: an element of `GET /v1/definitions`."""
        return {
            "key": self.key,
            "scopes": sorted(self.scopes),
            "schema": self.schema,
            "schema_version": self.schema_version,
            "is_family": self.is_family,
            "strategy": self.strategy,
            "writers": sorted(self.writers),
            "lifetime": self.lifetime,
            "until": self.until,
            "history_s": self.history_s,
            "max_age_s": self.max_age_s,
            "calls": sorted(self.calls),
        }

    def _complaints(self) -> Iterable[str]:
        if not is_id(self.key) or "." in self.key:
            yield "a key is 1 to 64 of A-Z a-z 0-9 _ -"
        if not self.scopes or not self.scopes <= SCOPES:
            yield f"scopes are one or more of {', '.join(sorted(SCOPES))}"
        if self.strategy not in _STRATEGIES:
            yield f"the strategy is one of {', '.join(sorted(_STRATEGIES))}"
        if self.strategy == "call" and not self.calls:
            yield "the strategy call needs calls"
        if not self.writers and not self.scopes <= _CORES_SCOPES:
            yield "without writers nobody can make it: Core itself makes documents of devices only"
        if self.lifetime not in _LIFETIMES:
            yield f"the lifetime is one of {', '.join(sorted(_LIFETIMES))}"
        if self.lifetime == "each" and self.writers:
            yield "the lifetime each has no writers: only Core knows when such a document ends"
        if self.is_family and self.lifetime == "session":
            yield "a session's key ends with its client's id, so it cannot be a family"
        if (self.lifetime == "until") != (self.until is not None):
            yield "the lifetime `until` needs the field until, and no other lifetime may have it"
        if self.until is not None and self.until.tzinfo is None:
            yield "until needs a time zone"
        if not 0 < self.max_age_s <= self.history_s:
            yield "max_age_s must be above 0 and at most history_s, as settling reads the history"
        if self.schema_version < 1:
            yield "schema versions begin at 1"
        if set(self.migrations) != set(range(self.oldest_schema, self.schema_version)):
            yield "migrations must go from version to version up to schema_version, without a gap"
        for name in self.calls:
            if not is_id(name):
                yield f"{name!r} cannot be the name of a call: 1 to 64 of A-Z a-z 0-9 _ . -"

    def _compile(self) -> Any:
        try:
            # Patterns are matched with text of clients, so the engine's time is bounded; no schema
            # is ever fetched.
            return jsonschema_rs.validator_for(
                dict(self.schema), offline=True, pattern_options=jsonschema_rs.RegexOptions()
            )
        except ValueError as error:
            raise DefinitionError(
                f"the definition of {self.key!r}: its JSON Schema is wrong: {error}"
            ) from error


class Definitions:
    """All definitions of one operator, by scope and key.

    Raises:
        DefinitionError: two are of the same key in the same scope.
    """

    def __init__(self, definitions: Iterable[Definition]) -> None:
        self.all: Final = tuple(definitions)
        self._by_place: Final[dict[tuple[str, str], Definition]] = {}
        for definition in self.all:
            for scope in definition.scopes:
                if self._by_place.setdefault((scope, definition.key), definition) != definition:
                    raise DefinitionError(f"{definition.key!r} is defined twice for {scope}")

    def of(self, scope: str, key: str) -> Definition | None:
        """The definition for this key in a channel of this kind; None: there is none."""
        name, dot, own = key.partition(".")
        found = self._by_place.get((scope, name))
        if found is None or (dot and not own):
            return None
        return found if bool(dot) == (found.is_family or found.lifetime == "session") else None


def load(
    points: Iterable[EntryPoint], names: Iterable[str], always: Iterable[Definition] = ()
) -> Definitions:
    """The definitions of the named entry points.

    Args:
        points: those of `GROUP` that the installed packages have.
        names: which of them the operator wants; a package may bring some that are not wanted.
        always: definitions that hold in any case.

    Raises:
        DefinitionError: a name is missing, cannot be loaded, or gives no definitions.
    """
    found = {point.name: point for point in points}
    definitions: list[Definition] = list(always)
    for name in names:
        if name not in found:
            known = ", ".join(sorted(found)) or "none"
            raise DefinitionError(f"no entry point {name!r} in {GROUP}; there is: {known}")
        try:
            definitions += found[name].load()
        except (ImportError, AttributeError, TypeError) as error:
            raise DefinitionError(
                f"the entry point {name!r} in {GROUP} cannot be loaded: {error}"
            ) from error
    for definition in definitions:
        if not isinstance(definition, Definition):
            raise DefinitionError(f"{definition!r:.80} in {GROUP} is no Definition")
    return Definitions(definitions)


def _shortened(message: str) -> str:
    """What a schema says of a value, without most of the value, which it quotes whole."""
    if len(message) <= MAX_MESSAGE_CHARS:
        return message
    half = MAX_MESSAGE_CHARS // 2
    return f"{message[:half]} … {message[-half:]}"


def session_client(definition: Definition, key: str) -> str | None:
    """The only client that may edit this document; None: any may."""
    return key.partition(".")[2] if definition.lifetime == "session" else None
