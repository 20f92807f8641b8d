"""Requests of edits, and a database in memory for the planner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from client_sdk.contract.state.edit import Edit, EditBatch, OwnEdit, UnreadableEdit
from client_sdk.contract.state.operations import Operation, Set
from core_api.access.callers import Caller
from core_api.documents.definitions import Definition, Definitions
from core_api.documents.kept_versions import Head
from core_api.edits.plan import EditAnswer, Known, Plan, Rules
from core_api.edits.planning import plan_edits
from core_api.edits.requests import EditRequest
from core_api.edits.what_was_read import DocumentName, KeptAnswer, KnownClient, KnownState, Room
from core_api.errors import CoreError
from tests.unit.core_api.samples import NOW

OWNER = Caller("kim", "owner", frozenset({"12", "13"}))
CHANNEL = "public:12"


def definition(key: str, **more: Any) -> Definition:
    declared: dict[str, Any] = {
        "key": key,
        "scopes": frozenset({"public"}),
        "schema": {"type": "object"},
        "strategy": "merge",
        "writers": frozenset({"owner"}),
    }
    return Definition(**declared | more)


KEYS = ("a", "b", "c")
RULES = Rules(Definitions(definition(key) for key in KEYS), 4, lambda channel, key: key == "a")


def edit(
    n: int,
    key: str = "a",
    do: Operation | None = None,
    base: int | OwnEdit | None = 0,
    channel: str = CHANNEL,
) -> Edit:
    """An edit that sets the document to `{"n": n}` by default."""
    return Edit(n=n, channel=channel, key=key, do=do or Set({"n": n}), base=base)


def request(
    client: str,
    *edits: Edit | UnreadableEdit,
    atomic: bool = False,
    answered: int = 0,
    caller: Caller = OWNER,
) -> EditRequest:
    return EditRequest(caller, EditBatch(client, list(edits), atomic, answered))


@dataclass
class Database:
    """The planner's input. Only `commit` stores what `plan` returns."""

    heads: dict[DocumentName, Head] = field(default_factory=dict)
    clients: dict[str, KnownClient] = field(default_factory=dict)
    rooms: dict[str, Room] = field(default_factory=dict)
    answers: dict[tuple[str, int], KeptAnswer] = field(default_factory=dict)
    full: frozenset[str] = frozenset()

    def plan(self, *requests: EditRequest) -> Plan:
        state = KnownState(NOW, self.heads, self.clients, self.rooms, full=self.full)
        return plan_edits(requests, Known(state, self.answers, {}), RULES)

    def commit(self, *requests: EditRequest) -> Plan:
        """Plan, and store the clients and the answers."""
        plan = self.plan(*requests)
        for client, _, _, settled, _ in plan.rows.clients:
            self.clients[client] = KnownClient(f"owner:{OWNER.subject}", settled)
        for _, client, n, request_hash, outcome, result in plan.rows.outcomes:
            self.answers[client, n] = KeptAnswer(request_hash, outcome, result)
        return plan


def outcomes(answer: EditAnswer | CoreError) -> list[str]:
    """The outcome of each edit; for a refused one, the reason."""
    if isinstance(answer, CoreError):
        raise answer
    return [one.outcome if one.problem is None else one.problem.slug for one in answer.outcomes]


def versions(plan: Plan) -> dict[DocumentName, int]:
    """The written documents, each with its new version."""
    return {(row[0], row[1]): row[4] for row in plan.rows.documents}


def events(plan: Plan) -> Sequence[tuple[str, str, int]]:
    """The events, by channel, key and version, in their order."""
    return [(row[1], row[2], row[3]) for row in plan.rows.events]
