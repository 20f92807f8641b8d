"""What becomes of one edit of a document. Pure.

An edit's **time** is when it was made by Core's clock, never later than now, and never earlier than
what it was made on. So a client's edits that are made on each other never go back in time, whatever
its clock did meanwhile.

An edit that is made on the client's own edit goes on from what the client **saw** after that one.
Where Core's value is that view, it is like any edit on that version. Where others came in between
(the edit below was settled, or put aside), it stays concurrent with them, and only with them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

from msgspec import UNSET, Struct, UnsetType

from client_sdk.contract.errors import StateError
from client_sdk.contract.state.edit import Conflict, Edit, Outcome
from client_sdk.contract.state.operations import (
    Add,
    Call,
    Delete,
    Merge,
    Operation,
    Patch,
    PlainOperation,
    Set,
)
from client_sdk.contract.state.values import Value
from core_api.documents.basis import Base, OwnResult, resolved
from core_api.documents.calls import run_call
from core_api.documents.changes import pointers, with_seen
from core_api.documents.checks import check_admission
from core_api.documents.definitions import Definition
from core_api.documents.kept_versions import Head, History
from core_api.documents.new_version import Version, next_version, version_time
from core_api.documents.refusals import EditRefusal, RefusedEditError, refuse
from core_api.documents.strategies import (
    STRATEGIES,
    Decision,
    Situation,
    attempt,
    replay,
    sum_,
)


class Settlement(Struct, frozen=True):
    """What became of one edit."""

    n: int
    outcome: Outcome
    head: Head
    """The newest version after it."""
    made: Version | None = None
    """The version that it made; None: it changed nothing."""
    strategy: str | None = None
    """What settled it, if it was concurrent: a strategy's name, `add` or `call`."""
    aside: tuple[str, ...] = ()
    """The JSON Pointers at which something of it was put aside."""
    refusal: EditRefusal | None = None
    result: OwnResult | None = None
    """The part that an edit made on this one needs; None: it was refused."""


Resolve = Callable[[int], OwnResult | None]
"""What became of this client's edit of that number, of the same document; None: it was refused, or
is not known."""


def settle(
    edit: Edit,
    head: Head,
    history: History,
    definition: Definition,
    now: datetime,
    resolve_base: Resolve,
) -> Settlement:
    """Settle one edit.

    Args:
        edit: of this document.
        head: the newest version.
        history: what is kept, up to the newest.
        definition: what holds for the document.
        now: by the database's clock.
        resolve_base: tells of the client's own earlier edits.
    """
    try:
        return _Settling(edit, head, history, definition, now, resolve_base).settlement()
    except RefusedEditError as error:
        return Settlement(edit.n, "refused", head, refusal=error.refusal)


class _Settling:
    """Settles one edit; each method may refuse it by raising RefusedEditError."""

    def __init__(
        self,
        edit: Edit,
        head: Head,
        history: History,
        definition: Definition,
        now: datetime,
        resolve_base: Resolve,
    ) -> None:
        self.edit = edit
        self.head = head
        self.history = history
        self.definition = definition
        self.now = now
        check_admission(edit, definition, now)
        self.base: Base = resolved(edit, head, history, resolve_base)
        self.time = self._time()
        self.schema = definition.schema_version if edit.schema is None else edit.schema

    def settlement(self) -> Settlement:
        """What becomes of the edit."""
        current = self._migrated(self.head.value, self.head.schema_version)
        operation = self.edit.do
        if self.base.version == self.head.version:
            return self._made(current, Decision(self._applied(current)), None)
        if current is None:
            self._check_deleted()
        if isinstance(operation, Call) or (isinstance(operation, Add) and not self.outdated):
            value = self._done(operation, current)
            return self._made(
                current, Decision(value), "call" if isinstance(operation, Call) else "add"
            )
        settled_by = "add" if isinstance(operation, Add) else self.definition.strategy
        strategy = sum_ if isinstance(operation, Add) else STRATEGIES[self.definition.strategy]
        return self._made(current, strategy(self._situation(operation, current)), settled_by)

    @property
    def outdated(self) -> bool:
        """Whether the edit was made for an older schema."""
        return self.schema < self.definition.schema_version

    def _time(self) -> datetime | None:
        made_at = self.edit.made_at
        times = [] if made_at is None else [min(made_at, self.now)]
        if self.base.time is not None:
            times.append(self.base.time)
        return max(times, default=None)

    def _applied(self, current: Value | None) -> Value | None:
        """The value after an edit without concurrent ones."""
        operation = self.edit.do
        if not self.outdated or isinstance(operation, Call | Delete):
            return self._done(operation, current)
        if isinstance(operation, Set):
            return self._migrated(operation.value, self.schema)
        return replay(current, *self._migrated_difference(operation))

    def _done(self, operation: Operation, value: Value | None) -> Value | None:
        if isinstance(operation, Call):
            return run_call(self.definition, operation, value)
        return attempt(operation, value)

    def _situation(self, operation: PlainOperation, current: Value | None) -> Situation:
        basis, seen = self._basis(), self.edit.seen
        own: Value | UnsetType | None = UNSET
        if self.outdated:
            seen = None
            if isinstance(operation, Set):
                operation = Set(self._migrated(operation.value, self.schema) or {})
            elif not isinstance(operation, Delete):
                basis, own = self._migrated_difference(operation)
        since = -1 if self.base.version is None else self.base.version
        return Situation(
            operation=operation,
            version=self.head.version,
            current=current,
            head_time=self.head.made_at,
            basis=basis,
            time=self.time,
            touched=partial(self.history.last_touched, after=since),
            complete=self.history.reaches(since, self.head.version),
            seen=seen,
            own=own,
        )

    def _basis(self) -> Value | UnsetType | None:
        """What the client saw, as the newest schema has it; UNSET: Core cannot tell."""
        if self.base.value is UNSET:
            return UNSET
        try:
            return self.definition.migrate(self.base.value, self.base.schema_version)
        except StateError:
            return UNSET

    def _migrated_difference(
        self, operation: Merge | Patch | Add
    ) -> tuple[Value | None, Value | None]:
        """What the client saw and what it made of that, both migrated to the newest schema."""
        if self.base.value is UNSET:
            refuse(
                "edit-outdated",
                f"it was made for schema version {self.schema}, and its base is not kept: send its "
                "base_value, or edit the newest version",
            )
        try:
            basis = self.definition.migrate(self.base.value, self.base.schema_version, self.schema)
        except StateError as error:
            refuse("edit-outdated", str(error))
        if self.edit.seen:
            basis = with_seen(basis, self.edit.seen)
        own = attempt(operation, basis)
        return self._migrated(basis, self.schema), self._migrated(own, self.schema)

    def _migrated(self, value: Value | None, since: int) -> Value | None:
        try:
            return self.definition.migrate(value, since)
        except StateError as error:
            refuse("edit-outdated", str(error))

    def _check_deleted(self) -> None:
        if self.definition.strategy != "last" or not isinstance(self.edit.do, Set):
            refuse(
                "edit-conflict",
                f"the document was deleted at version {self.head.version}",
                conflict=Conflict(self.head.version, None, self._basis()),
            )

    def _made(
        self, current: Value | None, decision: Decision, settled_by: str | None
    ) -> Settlement:
        outcome: Outcome = "applied" if settled_by is None else "settled"
        made = None
        if decision.all_aside:
            outcome = "put-aside"
        else:
            time = version_time(self.time, settled_by, self.head, self.definition, self.now)
            made = next_version(self.head, current, decision.value, self.definition, time)
        head = self.head if made is None else made.head
        return Settlement(
            self.edit.n,
            outcome,
            head,
            made,
            settled_by,
            pointers(decision.aside),
            result=self._result(outcome, head, made),
        )

    def _result(self, outcome: Outcome, head: Head, made: Version | None) -> OwnResult:
        plain = outcome == "applied"
        time = made.made_at if plain and made is not None else self.time
        view = UNSET if plain and not self.outdated else self._view()
        of = f"{self.edit.channel} {self.edit.key}"
        return OwnResult(head.version, self.base.version, plain, time, view, self.schema, of)

    def _view(self) -> Value | UnsetType | None:
        """What the client saw after the edit; UNSET: Core cannot tell."""
        operation = self.edit.do
        if isinstance(operation, Set):
            return operation.value
        if isinstance(operation, Delete):
            return None
        if self.base.value is UNSET:
            return UNSET
        try:
            basis = self.definition.migrate(self.base.value, self.base.schema_version, self.schema)
            if self.edit.seen:
                basis = with_seen(basis, self.edit.seen)
            return self._done(operation, basis)
        except (StateError, RefusedEditError):
            return UNSET
