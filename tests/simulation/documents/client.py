"""A client of documents in virtual time: its queue, its store, its requests, its crashes.

Machine, replica, queue and the handling of answers are the SDK's own. The journal and the network
are models; they have the same order of writes and the same time-outs as the real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from client_sdk.contract.errors import StateError
from client_sdk.contract.problem import problem
from client_sdk.contract.state.document import Document
from client_sdk.contract.state.edit import EditOutcome, decode_edits, decode_outcome
from client_sdk.contract.state.operations import Delete, Set
from client_sdk.contract.state.values import Value, same
from client_sdk.machine.machine import Machine
from client_sdk.machine.messages import (
    CheckDigest,
    CheckDocuments,
    Command,
    Deliver,
    DeliverDocument,
    Diverged,
    Fill,
    Start,
)
from client_sdk.settings import Settings
from client_sdk.shared_state.edits_api import Again, Answered, NotTaken, Settled
from client_sdk.shared_state.sender import Sender
from client_sdk.shared_state.yabam_client import _queue_of
from client_sdk.state.entries import DocumentName, Wish
from client_sdk.state.records import DropWaiting, OpenConflict, Write
from client_sdk.state.replica import Replica
from client_sdk.state.requests import Request
from client_sdk.state.view import perform
from core_api.edits.plan import EditAnswer
from core_api.errors import CoreError, EditGapError
from tests.simulation.documents.definitions import CHANNELS, PLACES, STRATEGY_OF, ring
from tests.simulation.documents.desk import Desk
from tests.simulation.documents.ledger import Made
from tests.simulation.documents.network import Network
from tests.simulation.documents.orders import ORDERS
from tests.simulation.documents.wishes import holds, mark_of
from tests.simulation.shell import Shell

if TYPE_CHECKING:
    from tests.simulation.documents.world import Device, DocumentWorld

SETTINGS: Final = Settings(max_pending=8)
_CALLS: Final = {"bell": {"ring": ring}}
_GIVEN_UP: Final = ("refused", "put-aside")
_ADDING: Final = ("merge", "sum", "call")
"""With these strategies, an edit that adds its own name to a document always takes effect."""


class DocumentClient(Shell):
    """One process on a device.

    Args:
        world: its schedule.
        device: the device, whose store it loads.
    """

    def __init__(self, world: DocumentWorld, device: Device) -> None:
        self.world = world
        self.device = device
        self.subject = device.subject
        followed_all = dict.fromkeys((*CHANNELS, ORDERS))
        machine = Machine(followed_all, None, SETTINGS, world.chance.uniform)
        super().__init__(world, machine)
        stored = device.store.open(self.subject)
        self.desk = Desk(self, stored.commands)
        followed: dict[str, list[Document]] = {name: [] for name in CHANNELS}
        for document in stored.documents:
            followed[document.channel].append(document)
        queue = _queue_of(stored, world.new_client, self.desk.queue.own.entries)
        resolved = ("menu",) if device.resolves else ()
        self.replica = Replica(queue, followed, stored.waiting, _CALLS, resolved)
        self.sender = Sender(
            self.replica,
            cast("Any", self.desk),
            cast("Any", None),
            cast("Any", None),
            cast("Any", None),
            self.subject,
            self.pump,
            cast("Any", self),
        )
        self._marks = {entry.id: mark_of(entry.edit) for entry in queue.entries}
        self.watched: dict[DocumentName, set[str]] = {name: set() for name in PLACES}
        """The marks of its edits that it must show, unless they are refused or put aside."""
        for mark in self._marks.values():
            if not world.ledger.made[mark].void:
                self.watched[world.ledger.made[mark].place].add(mark)
        self._unwritten: list[Write] = []
        self._committing: list[Write] | None = None
        self._network = Network(self)
        self._pause_until = 0.0
        self._retry_s = 0.5
        self._answer_is_of: str | None = None
        for waiting in self.replica.waiting.values():
            self._decide_later(waiting)
        if queue.epoch == world.core.epoch:
            self._check_kept(stored.documents)
        self.feed(Start())

    @property
    def offline(self) -> bool:
        """Whether it has no network now."""
        return self.world.now < self.device.offline_until

    def step(self) -> None:
        """Read the stream, fire timers, store what is due, send edits, fetch documents."""
        self.read_wire()
        self.desk.consume()
        self.keep_time()
        if self.world.chance.random() < 0.5:
            self._flush()
        self._send()
        self._load()

    def core_time(self) -> datetime | None:
        """Core's time as this client estimates it; None: unknown."""
        return self.machine._client.freshness.core_time(self.world.now)

    def device_time(self) -> datetime:
        """The time by the device's own clock, which is wrong."""
        return datetime.fromtimestamp(self.world.db_now + self.device.skew_s, UTC)

    def put(self, command: Command) -> None:
        """Take a command of the machine, if it is for documents or orders."""
        if isinstance(command, DeliverDocument):
            self.replica.take(command.change, command.epoch)
        elif isinstance(command, CheckDocuments):
            agrees = self.replica.agrees(command.channel, command.content_digest)
            self._compare(command.channel, agrees)
        elif isinstance(command, Deliver | Fill | CheckDigest):
            self.desk.put(command)
        self.pump()

    def die(self) -> None:
        """Kill the process; a write that is under way is either stored or not."""
        self.dead = True
        self._hang_up()
        if self._committing is not None and self.world.chance.random() < 0.5:
            self.device.store.write(self._committing)

    # ── edits ────────────────────────────────────────────────────────────────

    def edit(
        self, wishes: Sequence[Wish], *, atomic: bool = False, decides: OpenConflict | None = None
    ) -> None:
        """Make edits, unless a write is under way."""
        if self.is_keeping or self.dead:
            return
        try:
            decided = None if decides is None else decides.id
            writes = self.replica.prepare(wishes, self.core_time(), atomic=atomic, decides=decided)
        except StateError:
            return  # the edit does not fit the shown value
        if decides is not None:
            writes.append(DropWaiting(decides.id))
        dated = self.core_time() is not None
        made = [self._made(wish, decides, dated=dated) for wish in wishes]

        def kept() -> None:
            ids = self.replica.accept()
            if ids is None:
                self.edit(wishes, atomic=atomic, decides=decides)
                return
            for place, one in zip(ids, made, strict=True):
                one.accepted = True
                self._marks[place] = one.mark
                self.watched[one.place].add(one.mark)
            if decides is not None:
                self.replica.decided(decides)

        self.keep(writes, kept)

    def _made(self, wish: Wish, decides: OpenConflict | None, *, dated: bool) -> Made:
        name = wish.channel, wish.key
        made, pending = self.world.ledger.made, self.replica.queue.entries
        own = [made[mark_of(entry.edit)] for entry in pending if entry.document == name]
        seen = self.replica.view(name).value
        if decides is not None:
            current = decides.conflict.current
            seen = None if current is msgspec.UNSET else current
        one = Made(
            str((wish.metadata or {})["mark"]),
            self.device.author,
            self.device.next_order(),
            self.subject,
            name,
            seen,
            self.world.db_now,
            dated and all(other.dated for other in own),
            changes=not isinstance(wish.do, Delete),
        )
        before = made.setdefault(one.mark, one)
        # An edit that is made again, as the client id has changed, is based on what is shown now.
        before.seen = one.seen
        return before

    def _decide_later(self, waiting: OpenConflict) -> None:
        if self.device.resolves:
            self.world.at(self.world.chance.uniform(0.3, 8.0), lambda: self._decide(waiting))

    def _decide(self, waiting: OpenConflict) -> None:
        if self.dead or waiting.id not in self.replica.waiting:
            return
        if self.is_keeping:
            self._decide_later(waiting)
        elif self.world.chance.random() < 0.3:
            self.replica.decided(waiting)
            self.pump()
        else:
            mark = self.world.new_mark()
            self.edit(
                [Wish(*waiting.document, Set({"value": mark}), {"mark": mark})], decides=waiting
            )

    # ── results and invariants ───────────────────────────────────────────────

    def pump(self) -> None:
        """Process the results of the last inputs, and check the invariants."""
        effects = self.replica.drain()
        self._unwritten += effects.writes
        refused: dict[DocumentName, bool] = {}
        for place, outcome in effects.outcomes:
            mark = self._marks[place]
            made = self.world.ledger.made[mark]
            core = self.world.core
            of = self._answer_is_of or self.replica.queue.epoch
            self.world.ledger.told(mark, outcome, is_of_this_log=of == core.epoch)
            refused[made.place] = outcome.outcome == "refused"
            if outcome.outcome in _GIVEN_UP:
                self.watched[made.place].discard(mark)
        for name, is_refused in refused.items():
            view = self.replica.view(name)
            if is_refused and view.error is None and view.conflict is None:
                self.world.fail(f"{self.device.name}: the refusal of {name[1]} is not shown")
        for waiting in effects.conflicts:
            self._decide_later(waiting)
        for channel, key in effects.changed:
            for name in PLACES:
                if name[0] == channel and key in ("", name[1]):
                    self._check_view(name)

    def restored(self) -> None:
        """Core was restored: values that were shown may disappear."""
        for marks in self.watched.values():
            marks.clear()

    def _compare(self, channel: str, agrees: bool | None) -> None:
        if agrees is not False:
            return
        if self.machine.epoch == self.world.core.epoch and not self._garbled:
            self.world.fail(f"{self.device.name} has another digest than Core")
        # A value of the new log has arrived before the client knows of the new log.
        self.world.at(0.0, lambda: self.feed(Diverged(channel)))

    def _check_view(self, name: DocumentName) -> None:
        """Check that the view is Core's value with all pending edits applied."""
        core, queue = self.world.core, self.replica.queue
        documents = self.replica.channels[name[0]]
        shown = self.replica.view(name).value
        if STRATEGY_OF[name[1]] == "sum":
            twice = [key for key, n in (shown or {}).items() if key != "total" and n != 1]
            if twice:
                self.world.fail(f"{self.device.name} shows {twice} of {name[1]} more than once")
        logs = {self.machine.epoch, documents.epoch, queue.epoch}
        if not documents.synced or logs != {core.epoch} or queue.asking:
            return
        known = documents.get(name[1])
        value = None if known is None or known.value is msgspec.UNSET else known.value
        if known is not None and value is not None and known.version:
            self._check_known(name, known.version, value)
        left_out, found = set(), value
        channel, key = name
        for entry in queue.entries:
            edit = entry.edit
            if entry.shown and edit.key == key and edit.channel == channel:
                if entry.within:
                    self._check_within(self._marks[entry.id], name, found)
                    continue
                try:
                    value = perform(entry.edit.do, value, _CALLS.get(name[1], {}))
                except StateError:
                    left_out.add(self._marks[entry.id])
        if not same(shown, value):
            self.world.fail(f"{self.device.name}: {name[1]} is shown on a wrong base")
        if STRATEGY_OF[name[1]] not in _ADDING:
            return
        for mark in self.watched[name] - left_out:
            if not holds(shown, mark) and not self._is_given_up(mark):
                self.world.fail(f"{self.device.name} does not show {mark} of {name[1]} any more")

    def _check_within(self, mark: str, name: DocumentName, value: Value | None) -> None:
        """Check that a pending edit is not applied only if the value already contains it."""
        if STRATEGY_OF[name[1]] in _ADDING and not holds(value, mark):
            self.world.fail(f"{self.device.name} leaves {mark} off {name[1]}, which lacks it")

    def _is_given_up(self, mark: str) -> bool:
        """Whether Core has refused this edit or put it aside, and the answer is still on its way.

        The client may know already that the edit is settled, from a later version of the document.
        """
        answers = self.world.core.truth.answers
        told = [
            answers.get((entry.client, entry.n))
            for entry in self.replica.queue.entries
            if self._marks[entry.id] == mark
        ]
        outcomes = [decode_outcome(kept.outcome).outcome for kept in told if kept is not None]
        return any(outcome in _GIVEN_UP for outcome in outcomes)

    def _check_kept(self, documents: Sequence[Document]) -> None:
        """Check that stored documents belong to Core's log, as edits will be based on them."""
        for one in documents:
            if one.value is not None and one.value is not msgspec.UNSET:
                self._check_known((one.channel, one.key), one.version, one.value)

    def _check_known(self, name: DocumentName, version: int, value: Value) -> None:
        if not same(value, self.world.core.value_at(name, version)):
            self.world.fail(f"{self.device.name}: {name[1]} at {version} is not Core's")

    # ── the journal ──────────────────────────────────────────────────────────

    @property
    def is_keeping(self) -> bool:
        """Whether a write is under way."""
        return self._committing is not None

    def keep(self, writes: Sequence[Write], then: Callable[[], None]) -> None:
        """Store these records and those that wait, now or a little later; then call `then`."""
        self._committing = [*self._unwritten, *writes]
        self._unwritten = []

        def kept() -> None:
            if self.dead:
                return
            assert self._committing is not None
            self.device.store.write(self._committing)
            self._committing = None
            then()
            self.pump()

        delay = self.world.chance.choice((0.0, 0.0, 0.02, 0.6))
        if delay:
            self.world.at(delay, kept)
        else:
            kept()

    def keep_now(self, writes: Sequence[Write], then: Callable[[], None]) -> None:
        """Store these records and those that wait at once; then call `then`."""
        self._unwritten += writes
        self._flush()
        then()

    def _flush(self) -> bool:
        """Store the records that wait. Returns False if a write is under way."""
        if self._committing is not None:
            return False
        self.device.store.write(self._unwritten)
        self._unwritten = []
        return True

    # ── requests ─────────────────────────────────────────────────────────────

    def well(self) -> None:
        """Reset the back-off, as Core has answered."""
        self._retry_s = 0.5

    def failed(self, _detail: str, retry_after: float | None = None) -> None:
        """Wait for a while before the next request."""
        wait_s = max(self.world.chance.uniform(0.1, self._retry_s), retry_after or 0.0)
        self._pause_until = self.world.now + wait_s
        self._retry_s = min(4.0, self._retry_s * 2)

    def _send(self) -> None:
        queue = self.replica.queue
        if self.dead or self._network.is_busy("edits") or self.world.now < self._pause_until:
            return
        if not self.sender._is_needed():
            return
        if not self.sender._is_own(self.device.token):
            self.failed("the token is another subject's")
            return
        if not self._flush():
            return
        client = queue.question
        if client is not None:
            self._ask_how_far(client)
        elif self.desk.is_first:
            self._send_command()
        elif (request := queue.request(self.desk.queue.first)) is not None:
            self._post(request)

    def _send_command(self) -> None:
        request = self.desk.next_request()
        if request is None:
            return
        world, caller = self.world, self.world.caller_of(self.device.token)

        def answer(reply: Callable[[Any], None]) -> None:
            reply((world.core.command(caller, request, world.db_now), world.core.epoch))

        def done(answered: Any) -> None:
            if isinstance(answered, tuple):
                self.well()
                self.desk.answered(request, *answered)
            else:
                self.desk.queue.failed(request)
                self.failed("no answer", getattr(answered, "retry_after", None))

        self._network.exchange("edits", answer, done)

    def _ask_how_far(self, client: str) -> None:
        core = self.world.core

        def answer(reply: Callable[[Any], None]) -> None:
            reply(Settled(core.settled(client), core.epoch))

        def done(settled: Any) -> None:
            self.sender._take_settled(client, settled or Again("no answer"))
            self.pump()

        self._network.exchange("edits", answer, done)

    def _post(self, request: Request) -> None:
        world, caller = self.world, self.world.caller_of(self.device.token)
        body = request.body

        def answer(reply: Callable[[Any], None]) -> None:
            epoch = world.core.epoch
            batch = decode_edits(body)
            world.core.post(caller, batch, lambda made: reply((made, epoch)))

        def done(answered: Any) -> None:
            if isinstance(answered, tuple):
                made, self._answer_is_of = answered
                self.sender._take(request, _heard(made))
            else:
                self.sender._take(request, answered or Again("no answer"))
            self.pump()
            self._answer_is_of = None

        self._network.exchange("edits", answer, done)

    def _load(self) -> None:
        if self.dead or self._network.is_busy("document"):
            return
        wanted = [
            ((channel, key), version)
            for channel, documents in self.replica.channels.items()
            for key, version in documents.wanted.items()
        ]
        if not wanted:
            return
        name, version = wanted[0]
        core, documents = self.world.core, self.replica.channels[wanted[0][0][0]]
        log = documents.epoch

        def answer(reply: Callable[[Any], None]) -> None:
            reply((core.document(name, version),))

        def done(answered: Any) -> None:
            if not isinstance(answered, tuple) or documents.epoch != log:
                return
            if answered[0] is None:
                self.replica.missing(name, version)
            else:
                self.replica.fetched(answered[0])
            self._compare(name[0], self.replica.agrees_now(name[0]))
            self.pump()

        self._network.exchange("document", answer, done)


def _heard(made: EditAnswer | CoreError) -> Answered | NotTaken:
    """Core's answer, as the client decodes it."""
    if isinstance(made, EditAnswer):
        return Answered([_through_wire(outcome) for outcome in made.outcomes])
    settled = made.settled if isinstance(made, EditGapError) else None
    return NotTaken(problem(made.slug, str(made), settled=settled))


def _through_wire(outcome: EditOutcome) -> EditOutcome:
    return decode_outcome(msgspec.json.encode(outcome))
