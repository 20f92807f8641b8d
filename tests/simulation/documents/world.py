"""One schedule of documents: several devices, models of the servers, and random faults."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable
from functools import cache
from typing import Final

import msgspec

from client_sdk.contract.channel import parse_channel
from client_sdk.contract.digest import canonical
from client_sdk.state.store import MemoryState, subject_of
from core_api.access.callers import Caller
from tests.simulation.documents.client import DocumentClient
from tests.simulation.documents.core import DocumentCore, Log, Truth
from tests.simulation.documents.definitions import CHANNELS, PLACES, STORE
from tests.simulation.documents.ledger import Ledger
from tests.simulation.documents.wishes import wish_for
from tests.simulation.servers import ModelServer
from tests.simulation.setting import STEP_S, Setting
from tests.simulation.shell import Shell

FAULTY_S: Final = 60.0
QUIET_S: Final = 150.0
"""After the faults, all clients must be live and equal to Core within this time."""
STAYS_S: Final = 10.0
PACES: Final = (0.0, 0.02, 0.1, 0.4)
"""The probability that a device makes an edit in a step."""
PATCHES_EVERY: Final = 7
"""In one of so many schedules, some edits are JSON patches."""
RARE: Final = ("restore", "kafka wiped", "retention", "storage lost", "backup")
_ALL: Final = {
    "ann": Caller("ann", "owner", frozenset({STORE})),
    "bob": Caller("bob", "owner", frozenset({STORE})),
    "guest": Caller("guest", "table", table=parse_channel(f"table:{STORE}/1")),
}
_OWNERS_ONLY: Final = "sold-out"


@cache
def _token(caller: Caller) -> str:
    claims = msgspec.json.encode({"sub": caller.subject, "role": caller.role})
    return f"x.{urlsafe_b64encode(claims).decode().rstrip('=')}.x"


@cache
def _subject(user: str) -> str:
    return subject_of(_token(_ALL[user]))


class Device:
    """A device: its stores, one for each subject, survive its processes.

    Args:
        world: its schedule.
        name: its name.
        names: the persons who may use it; the first one has signed in.
    """

    def __init__(self, world: DocumentWorld, name: str, names: tuple[str, ...]) -> None:
        self.world = world
        self.name = name
        self.names = names
        self.resolves = world.chance.random() < 0.7
        self.skew_s = world.chance.choice((-30.0, 600.0))
        """How many seconds its own clock is ahead."""
        self.offline_until = 0.0
        self._user = names[0]
        self._token_of = names[0]
        self._stores = {user: MemoryState() for user in names}
        self._lives = dict.fromkeys(names, 1)
        self._orders = 0
        self.client = DocumentClient(world, self)

    @property
    def token(self) -> str:
        """Its current access token."""
        return _token(_ALL[self._token_of])

    @property
    def subject(self) -> str:
        """The subject whose edits its process makes."""
        return _subject(self._user)

    @property
    def store(self) -> MemoryState:
        """The store of the person who has signed in."""
        return self._stores[self._user]

    @property
    def author(self) -> str:
        """A name for the current store; a lost store gets a new name."""
        return f"{self.name}/{self._user}/{self._lives[self._user]}"

    def next_order(self) -> int:
        """The number of the next edit or command of this device."""
        self._orders += 1
        return self._orders

    def restart(self) -> None:
        """Kill the process, and start another one with the same store."""
        self.client.die()
        self.client = DocumentClient(self.world, self)

    def lose_storage(self) -> None:
        """Delete the store, as when a browser's data is deleted or a disk is replaced."""
        self.client.die()
        self.world.ledger.lost_authors.add(self.author)
        self._lives[self._user] += 1
        self._stores[self._user] = MemoryState()
        self.client = DocumentClient(self.world, self)

    def hand_over(self, user: str | None = None) -> None:
        """Let somebody else sign in; the queue of the person before waits in its store."""
        self.client.die()
        self._user = user or self.world.chance.choice(self.names)
        self._token_of = self._user
        self.client = DocumentClient(self.world, self)

    def change_token(self) -> None:
        """Replace the token by another person's, while the process goes on."""
        self._token_of = self.world.chance.choice(self.names)

    def settle(self) -> None:
        """End all faults of the device."""
        self.offline_until, self._token_of = 0.0, self._user

    def user_who_waits(self) -> str | None:
        """Another person whose edits or commands wait on this device; None: nobody."""
        for user, store in self._stores.items():
            stored = store.open(_subject(user))
            if user != self._user and (stored.entries or stored.commands):
                return user
        return None


class DocumentWorld(Setting[DocumentCore]):
    """Runs one schedule, and checks the invariants at each step.

    Args:
        seed: of all random choices.
    """

    kind = "documents"

    def __init__(self, seed: int) -> None:
        super().__init__(seed, DocumentCore, ModelServer)
        self.ledger = Ledger(self.fail)
        self._patches = seed % PATCHES_EVERY == PATCHES_EVERY - 1
        self._pace = PACES[-1]
        self._marks = self._clients = 0
        self._backup: Truth = self.core.backup()
        self.devices = [
            Device(self, "till", ("ann", "bob")),
            Device(self, "terminal", ("bob",)),
            Device(self, "phone", ("guest",)),
        ]

    def run(self) -> DocumentWorld:
        """Run with faults for a while, then without; then check the end state."""
        self._step()
        self.run_until(FAULTY_S)
        self.faults = False
        self.relay.forgets = 0.0
        for device in self.devices:
            device.settle()
        self._converge(self.now + QUIET_S)
        self.run_until(self.now + STAYS_S)
        difference = self.difference()
        if difference is not None:
            self.fail(f"all was equal, and is not any more: {difference}")
        self.ledger.close()
        return self

    def new_mark(self) -> str:
        """A new mark for an edit."""
        self._marks += 1
        return f"m{self._marks}"

    def new_client(self) -> str:
        """A new client id."""
        self._clients += 1
        return f"c{self._clients}"

    def caller_of(self, token: str) -> Caller:
        """The caller with this token."""
        return next(caller for caller in _ALL.values() if _token(caller) == token)

    @property
    def shells(self) -> Iterable[Shell]:
        """The clients of all devices."""
        return [device.client for device in self.devices]

    def write_something(self) -> None:
        """Does nothing: only clients write documents."""

    def difference(self) -> str | None:
        """How a device differs from Core; None: all are equal, and nothing waits."""
        for device in self.devices:
            client, replica = device.client, device.client.replica
            if client.machine.epoch != self.core.epoch:
                return f"{device.name} is in another epoch than Core"
            if replica.queue.entries or replica.queue.asking:
                left = [(one.client, one.edit.n) for one in replica.queue.entries]
                return f"{device.name} still has {left}"
            if device.store.open(device.subject).entries:
                return f"{device.name} keeps edits that are done"
            difference = client.desk.difference()
            if difference is not None:
                return f"{device.name} {difference}"
            if device.resolves and replica.waiting:
                return f"{device.name} has not decided its conflicts"
            for channel in CHANNELS:
                log = self.core.truth.logs.get(channel, Log())
                documents = replica.channels[channel]
                if documents.wanted:
                    return f"{device.name} lacks values of {channel}"
                if documents._digest() != log.content:
                    return f"{device.name} has another digest of {channel}"
            for place in PLACES:
                if canonical(replica.view(place).value) != canonical(self.core.value(place)):
                    return f"{device.name} shows another {place[1]}"
        return None

    def _not_live(self) -> str | None:
        for device in self.devices:
            if not device.client.shows_live:
                return f"{device.name} is not live but {device.client.condition}"
        return None

    def _converge(self, end: float) -> None:
        difference: str | None = ""
        while self.now < end:
            self.run_until(self.now + 1.0)
            difference = self.difference() or self._not_live()
            if difference is None:
                waiting = [(device, device.user_who_waits()) for device in self.devices]
                for device, user in waiting:
                    if user is not None:
                        device.hand_over(user)
                if not any(user for _, user in waiting):
                    return
        self.fail(difference or "edits still wait for their own subject")

    def _step(self) -> None:
        """Run everything for a quarter of a second, and schedule the next step."""
        self.at(STEP_S, self._step)
        chance = self.chance
        if self.faults:
            if chance.random() < 0.02:
                self._pace = chance.choice(PACES)
            for device in self.devices:
                if chance.random() < self._pace:
                    self._edit(device)
                if chance.random() < self._pace / 2:
                    device.client.desk.act(self.new_mark())
            if chance.random() < 0.1:
                self.inject_any(RARE)
        self.core.settle(self.db_now)
        self.ledger.read(self.core)
        self.run_servers()
        for device in self.devices:
            device.client.step()

    def _edit(self, device: Device) -> None:
        chance = self.chance
        places = [place for place in PLACES if place[1] != _OWNERS_ONLY]
        if device.name != "phone" or chance.random() < 0.1:
            places = list(PLACES)
        chosen = chance.sample(places, chance.choice((1, 1, 1, 2, 3)))
        wishes = [
            wish_for(place, self.new_mark(), chance, patches=self._patches) for place in chosen
        ]
        device.client.edit(wishes, atomic=chance.random() < 0.2)

    # ── faults ───────────────────────────────────────────────────────────────

    @property
    def kinds(self) -> dict[str, Callable[[], None]]:
        """All faults, by name."""
        device = self.chance.choice(self.devices)
        client = device.client
        return {
            "client crash": device.restart,
            "offline": lambda: self._take_network(device),
            "connection cut": client.cut,
            "half-open connection": client.go_silent,
            "frame lost": lambda: client.garble(self.lose),
            "frame doubled": lambda: client.garble(self.double),
            "storage lost": device.lose_storage,
            "handed over": lambda: self.devices[0].hand_over(),
            "another's token": lambda: self.devices[0].change_token(),
            **super().kinds,
            "retention": self.core.trim,
            "backup": self._back_up,
            "restore": self._restore,
        }

    def _take_network(self, device: Device) -> None:
        device.offline_until = self.now + self.chance.choice((2.0, 10.0, 40.0))
        if device.client.connected:
            device.client.cut()

    def _back_up(self) -> None:
        self._backup = self.core.backup()

    def _restore(self) -> None:
        self.core.restore(self._backup)
        self.ledger.restored(self.core)
        for device in self.devices:
            device.client.restored()
