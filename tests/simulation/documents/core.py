"""A model of Core for documents: the real rules for edits and Fetch Sync, with data in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET

from client_sdk.contract.channel import carries_documents, event_id, parse_channel
from client_sdk.contract.digest import canonical
from client_sdk.contract.limits import MAX_SHOWN_VALUE_BYTES
from client_sdk.contract.state.document import Document
from client_sdk.contract.state.edit import EditBatch
from client_sdk.contract.state.patch import apply_patch
from client_sdk.contract.state.pointer import MISSING
from client_sdk.contract.state.sync import decode_mixed_sync
from client_sdk.contract.state.values import Value
from client_sdk.contract.sync import StreamGrant, SyncResponse
from client_sdk.shared_state.edits_api import Done, NotTaken
from client_sdk.state.orders.commands import CommandRequest
from core_api.access.callers import Caller
from core_api.documents.kept_versions import Head, History, Kept
from core_api.edits.needs import answers_needed, histories_needed
from core_api.edits.plan import EditAnswer, Known, Plan, Rules
from core_api.edits.planning import plan_edits
from core_api.edits.requests import EditRequest
from core_api.edits.what_was_read import DocumentName, KeptAnswer, KnownClient, KnownState, Room
from core_api.errors import CoreError
from core_api.event_log.lines import event_json
from core_api.orders.lifecycle import OrderChange
from core_api.sync import events_or_reset as rules
from core_api.sync.queries import Moment, OpenOrders, Page
from core_api.sync.request import SyncRequest
from server_common.access.tickets import Ticket
from server_common.kafka_records.events import OrderRecord, encode_order_record
from tests.simulation.core import ChannelLog, log_order, orders_answer
from tests.simulation.documents.definitions import DEFINITIONS
from tests.simulation.documents.orders import ORDERS, Orders, decide, heard
from tests.simulation.servers import KEYS, Committed

TICKET_TTL_S = 30.0
_RULES = Rules(DEFINITIONS, 1, lambda _channel, _key: False)
Reply = Callable[[EditAnswer | CoreError], None]


@dataclass
class Log:
    """One channel: its events' bodies in order, the last deleted seq, its digest, its size."""

    bodies: list[str] = field(default_factory=list)
    floor: int = 0
    content: int = 0
    room: Room = field(default_factory=lambda: Room(0, 0))

    @property
    def head(self) -> int:
        return len(self.bodies)


@dataclass(frozen=True)
class Past:
    """One entry of the history of all documents and orders, in the order of settling."""

    mark: str
    by: str
    place: DocumentName
    version: int | None
    """The version that the edit created; None: it was put aside."""
    change: OrderChange | None = None
    """What a command changed in its order; None: it was an edit."""


@dataclass
class Truth:
    """All data of Core, which a backup contains."""

    epoch: int = 1
    logs: dict[str, Log] = field(default_factory=dict)
    heads: dict[DocumentName, Head] = field(default_factory=dict)
    shown: dict[DocumentName, str] = field(default_factory=dict)
    """The text of each existing document in a snapshot."""
    kept: dict[DocumentName, list[Kept]] = field(default_factory=dict)
    floors: dict[DocumentName, int] = field(default_factory=dict)
    """The oldest kept version of each document; older ones are deleted."""
    clients: dict[str, KnownClient] = field(default_factory=dict)
    answers: dict[tuple[str, int], KeptAnswer] = field(default_factory=dict)
    orders: Orders = field(default_factory=Orders)
    past: list[Past] = field(default_factory=list)
    outbox: list[Committed] = field(default_factory=list)

    def copy(self) -> Truth:
        """An independent copy; the values in it are immutable."""
        return replace(
            self,
            logs={name: replace(log, bodies=list(log.bodies)) for name, log in self.logs.items()},
            heads=dict(self.heads),
            shown=dict(self.shown),
            kept={place: list(kept) for place, kept in self.kept.items()},
            floors=dict(self.floors),
            clients=dict(self.clients),
            answers=dict(self.answers),
            orders=self.orders.copy(),
            past=list(self.past),
            outbox=list(self.outbox),
        )


class DocumentCore:
    """Settles edits, applies commands and answers syncs by the real rules."""

    names_logs = True
    """Whether a request with edits names the log that they are based on."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self.truth = Truth()
        self.epochs = 1
        self.settled_at = 0.0
        """The last time when edits were settled, by the database's clock."""
        self._waiting: list[tuple[EditRequest, Reply]] = []

    @property
    def epoch(self) -> str:
        """The epoch's name; later epochs sort after earlier ones."""
        return f"0E{self.truth.epoch:05d}"

    # ── orders ───────────────────────────────────────────────────────────────

    def command(self, caller: Caller, request: CommandRequest, now: float) -> Done | NotTaken:
        """Apply a command to an order; if it is repeated, answer as the first time."""
        truth, orders = self.truth, self.truth.orders
        known = orders.answers.get(request.key)
        if known is not None:
            return heard(known, repeated=True)
        new_id = str(UUID(int=self._chance.getrandbits(128)))
        moment = datetime.fromtimestamp(now, UTC)
        done = decide(orders, request, new_id, caller.subject, moment)
        if isinstance(done, NotTaken):
            return done
        order = done.after
        orders.all[order.id] = orders.answers[request.key] = order
        _, committed = log_order(done, orders.channels, orders.views, self.epoch, now)
        truth.outbox.append(committed)
        mark = msgspec.json.decode(request.body).get("note") or request.key
        truth.past.append(Past(mark, caller.subject, (ORDERS, order.id), order.version, done))
        return heard(order, repeated=False)

    # ── edits ────────────────────────────────────────────────────────────────

    def post(self, caller: Caller, batch: EditBatch, reply: Reply) -> None:
        """Take a request with edits, which is settled together with those that wait."""
        if not self.names_logs:
            batch = msgspec.structs.replace(batch, epoch=None)
        self._waiting.append((EditRequest(caller, batch), reply))

    def settle(self, now: float) -> None:
        """Settle all waiting requests; those of different clients together, as one statement."""
        self.settled_at = now
        while self._waiting:
            going: dict[str, tuple[EditRequest, Reply]] = {}
            rest = []
            for request, reply in self._waiting:
                if request.client in going:
                    rest.append((request, reply))
                else:
                    going[request.client] = request, reply
            self._waiting = rest
            requests = [request for request, _ in going.values()]
            plan = self.plan(requests, datetime.fromtimestamp(now, UTC))
            self._write(plan, now)
            for answer, (_, reply) in zip(plan.answers, going.values(), strict=True):
                reply(answer)

    def plan(self, requests: Sequence[EditRequest], now: datetime) -> Plan:
        """What these requests change, by the real planner."""
        truth = self.truth
        rooms = {name: log.room for name, log in truth.logs.items()}
        state = KnownState(now, truth.heads, truth.clients, rooms, self.epoch)
        answers = {
            name: truth.answers[name]
            for name in answers_needed(requests, state)
            if name in truth.answers
        }
        bases = histories_needed(requests, state, answers)
        return plan_edits(requests, Known(state, answers, self._histories(bases)), _RULES)

    def settled(self, client: str) -> int:
        """How far the client's edits are settled."""
        known = self.truth.clients.get(client)
        return 0 if known is None else known.settled

    def _histories(self, bases: Mapping[DocumentName, int]) -> dict[DocumentName, History]:
        histories = {}
        for place, base in bases.items():
            least = max(base, self.truth.floors.get(place, 0))
            kept = [one for one in self.truth.kept.get(place, []) if one.version >= least]
            histories[place] = History(kept)
        return histories

    def _write(self, plan: Plan, now: float) -> None:
        truth, rows = self.truth, plan.rows
        for client, subject in plan.new_clients:
            truth.clients.setdefault(client, KnownClient(subject, 0))
        for client, _, before, settled, answered in rows.clients:
            known = truth.clients[client]
            assert known.settled == before
            truth.clients[client] = replace(known, settled=settled)
            # Core may delete answers that the client has received; this model does so at once.
            for n in range(answered, 0, -1):
                if truth.answers.pop((client, n), None) is None:
                    break
        for _, client, n, fingerprint, outcome, result in rows.outcomes:
            truth.answers[client, n] = KeptAnswer(fingerprint, outcome, result)
        for row in rows.history:
            self._remember(row)
        for row in rows.documents:
            self._put(row)
        for event in rows.events:
            self._log(event, now)

    def _remember(self, row: tuple[Any, ...]) -> None:
        (_, channel, key, version, _, _, took_effect, _, made_at, entry, diff, _, schema) = row
        place, told = (channel, key), msgspec.json.decode(entry)
        if took_effect:
            kept = self.truth.kept.setdefault(place, [])
            steps = msgspec.json.decode(diff)
            before = kept[-1].value if kept else None
            assert version == (kept[-1].version if kept else 0) + 1
            value = apply_patch(MISSING if before is None else before, steps)
            whole = None if value is MISSING else value
            kept.append(Kept(version, made_at, steps, schema, whole))
        mark = told["metadata"]["mark"]
        self.truth.past.append(Past(mark, told["by"], place, version if took_effect else None))

    def _put(self, row: tuple[Any, ...]) -> None:
        channel, key, _, before, version, schema, facts, value, made_at, _, _ = row
        place = channel, key
        assert self.truth.heads.get(place, Head()).version == before
        whole = None if value is None else msgspec.json.decode(value)
        assert canonical(self.truth.kept[place][-1].value) == canonical(whole)
        self.truth.heads[place] = Head(version, whole, schema, made_at)
        if value is None:
            self.truth.shown.pop(place, None)
        else:
            is_shown = len(value.encode()) <= MAX_SHOWN_VALUE_BYTES
            self.truth.shown[place] = facts + (f',"value":{value}' if is_shown else "") + "}"

    def _log(self, row: tuple[Any, ...], now: float) -> None:
        _, channel, _, _, _, content, documents, size, body, _, _ = row
        log = self.truth.logs.setdefault(channel, Log())
        log.bodies.append(body)
        log.content ^= content
        log.room = Room(log.room.documents + documents, log.room.size + size)
        line = event_json(channel, log.head, body).encode()
        record = OrderRecord(
            self.epoch, "document.changed", "now", (event_id(channel, log.head),), (line,)
        )
        self.truth.outbox.append(Committed(encode_order_record(record), now))

    # ── reading ──────────────────────────────────────────────────────────────

    def value(self, place: DocumentName) -> Value | None:
        """The newest value of a document; None: there is none."""
        return self.truth.heads.get(place, Head()).value

    def value_at(self, place: DocumentName, version: int) -> Value | None:
        """The value of a document at a version; None: it did not exist."""
        kept = self.truth.kept.get(place, [])
        if not 1 <= version <= len(kept):
            return None
        value = kept[version - 1].value
        return None if value is UNSET else value

    def document(self, place: DocumentName, version: int | None) -> Document | None:
        """`GET /v1/documents`: a version of a document, or the newest; None: not found."""
        newest = self.truth.heads.get(place, Head()).version
        at = newest if version is None else version
        if not max(1, self.truth.floors.get(place, 0)) <= at <= newest:
            return None
        kept = self.truth.kept[place][at - 1]
        return Document(*place, at, kept.schema_version, kept.made_at, "somebody", kept.value)

    def answer(
        self, after: dict[str, int | None], epoch: str | None, limit: int, now: float
    ) -> SyncResponse:
        """The answer of Fetch Sync, by the real rules."""
        request = SyncRequest(
            {parse_channel(name): seq for name, seq in after.items()}, epoch, limit, 0.0
        )
        moment = Moment(self.epoch, now)
        answers = []
        for query, (channel, seq) in zip(request.queries(), request.after.items(), strict=True):
            if not carries_documents(query.channel):
                orders = self.truth.orders.channels.get(query.channel, ChannelLog())
                answers.append(orders_answer(orders, query, channel, seq, request, moment))
                continue
            log = self.truth.logs.get(query.channel, Log())
            found: tuple[tuple[int, str], ...] = ()
            if query.after >= log.floor:
                newest = min(log.head, query.after + query.limit)
                found = tuple((n, log.bodies[n - 1]) for n in range(query.after + 1, newest + 1))
            page = Page(log.head, 0, log.floor, found, log.content)
            reason = rules.reset_reason(seq, request.epoch, moment, page)
            if reason is None:
                answers.append(rules.page_of(str(channel), query.after, page))
            else:
                there = {k: text for (c, k), text in self.truth.shown.items() if c == str(channel)}
                keys = sorted(there)
                opened = OpenOrders(
                    log.head, 0, [there[k] for k in keys], ids=keys, content=log.content
                )
                answers.append(rules.snapshot_of(str(channel), reason, opened, self.epoch))
        grant = None
        if not rules.has_more(answers):
            ticket = Ticket(self.epoch, rules.cursor_of(answers), now, now + TICKET_TTL_S, "sim")
            grant = StreamGrant("http://events", KEYS.sign(ticket), TICKET_TTL_S)
        return decode_mixed_sync(rules.encode_answer(moment, answers, grant, 3000))

    # ── faults ───────────────────────────────────────────────────────────────

    def trim(self) -> None:
        """Delete the older half of each log and of each document's versions, and orders' events.

        A client that is behind then gets a snapshot.
        """
        for orders in self.truth.orders.channels.values():
            orders.floor = orders.head
        for log in self.truth.logs.values():
            log.floor = max(log.floor, log.head // 2)
        for place, head in self.truth.heads.items():
            self.truth.floors[place] = max(self.truth.floors.get(place, 0), head.version // 2)

    def backup(self) -> Truth:
        """A copy of all data."""
        return self.truth.copy()

    def restore(self, truth: Truth) -> None:
        """Restore a backup, in a new epoch; events that were not published are gone."""
        self.epochs += 1
        self.truth = truth.copy()
        self.truth.epoch = self.epochs
        self.truth.outbox.clear()
        self._waiting.clear()
