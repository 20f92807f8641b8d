"""Keeps the broker's users and roles in step with the registered devices.

After each connect all users and roles are compared, so a broker that lost its data gets them again.
Then each change is applied as it comes, and all are compared again from time to time.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Final

from client_sdk.contract.errors import DeviceError
from core_api.broker_admin.control import BrokerControl, BrokerRefusalError
from core_api.broker_admin.registrations import PAGE, Registered, RegisteredDevices
from core_api.broker_admin.rights import (
    FEW_AT_ONCE,
    ControlCommand,
    Wanted,
    allowed_to,
    closing_commands,
    device_commands,
    gateway_commands,
    paced,
    removals,
    strangers,
    taken,
)
from core_api.errors import UnavailableError
from server_common.backoff import Backoff
from server_common.logs import get_logger
from server_common.mqtt.broker import Broker, MqttError

if TYPE_CHECKING:
    from core_api.broker_admin.metrics import AdminMetrics
    from server_common.devices.identity import DeviceKeys

_log = get_logger()

LOOK_EVERY_S: Final = 0.5
COMPARE_EVERY_S: Final = 300.0
_BACK_OFF_S: Final = (0.2, 5.0)


class BrokerAdmin:
    """Runs until it is cancelled.

    Args:
        broker: its address, with the admin's name and password.
        registrations: where devices are read.
        keys: passwords are derived with these.
        gateway_password: the password that the gateway gets.
        readers_of_orders: see `rights.allowed_to`.
        metrics: where the numbers go.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        broker: Broker,
        registrations: RegisteredDevices,
        keys: DeviceKeys,
        gateway_password: str,
        readers_of_orders: Sequence[str],
        metrics: AdminMetrics,
        clock: Callable[[], float],
    ) -> None:
        self._broker = broker
        self._registrations = registrations
        self._keys = keys
        self._gateway_password = gateway_password
        self._readers_of_orders = tuple(readers_of_orders)
        self._metrics = metrics
        self._clock = clock
        self._users: dict[tuple[str, str], set[str]] = {}
        self._seen = 0
        self._at_once = FEW_AT_ONCE
        self.turned_at = clock()
        """When it last made progress, or knew the fault that it waits for."""
        self.trouble: str | None = "the broker was not compared yet"
        """Why the broker may be out of date; None: it is up to date."""

    async def run(self) -> None:
        """Keep the broker up to date; connect again whenever the connection is lost."""
        backoff = Backoff(*_BACK_OFF_S, random.uniform)
        while True:
            began = self._clock()
            try:
                await self._session()
            except (MqttError, UnavailableError, OSError, TimeoutError) as error:
                self.trouble = str(error) or repr(error)
                self._metrics.failures.inc()
                _log.warning("broker_admin_restarts", reason=self.trouble)
            self.turned_at = self._clock()
            if self._clock() - began > 2 * _BACK_OFF_S[1]:
                backoff.forget()
            await asyncio.sleep(backoff.failed())

    async def _session(self) -> None:
        control = BrokerControl(self._broker)
        try:
            await control.open()
            while True:
                await self._compare(control)
                again_at = self._clock() + COMPARE_EVERY_S
                while self._clock() < again_at:
                    await asyncio.sleep(LOOK_EVERY_S)
                    control.check()
                    await self._follow(control)
        finally:
            await control.close()

    async def _compare(self, control: BrokerControl) -> None:
        """Make all users and roles at the broker as they should be."""
        present = await control.present()
        self._seen = 0
        self._users = {}
        wanted: set[str] = set()
        changes: list[list[ControlCommand]] = []
        async for registered in self._changes():
            if registered.may_connect and (one := self._wanted(registered)) is not None:
                wanted.add(one.identity.user)
                changes.append(device_commands(one, present))
                self._users.setdefault(_place(registered), set()).add(one.identity.user)
        # Removals come first: they take rights away.
        changes[:0] = removals(strangers(wanted, present), present)
        changes.insert(0, gateway_commands(self._gateway_password, present))
        if commands := await self._do(control, changes):
            _log.info("broker_compared", commands=commands, devices=len(wanted))
        self._metrics.devices.set(len(wanted))

    async def _follow(self, control: BrokerControl) -> None:
        """Apply the changes since the comparison."""
        async for registered in self._changes():
            place = _place(registered)
            one = self._wanted(registered) if registered.may_connect else None
            users = {one.identity.user} if one is not None else set()
            before = self._users.pop(place, set())
            # If only its media have changed, its role is up to date: the broker is asked first,
            # because making a role again disconnects its holder.
            present = await control.present_of(sorted(users | before))
            changes = [closing_commands(user, present) for user in sorted(before - users)]
            if one is not None:
                changes.append(device_commands(one, present))
                self._users[place] = users
            await self._do(control, changes)
            self._metrics.devices.set(len(self._users))
        self.turned_at = self._clock()
        self.trouble = None

    async def _changes(self) -> AsyncIterator[Registered]:
        """The devices changed since; one counts as processed when the next is asked for."""
        while True:
            page = await self._registrations.after(self._seen)
            for registered in page:
                yield registered
                self._seen = registered.change
            if len(page) < PAGE:
                return

    def _wanted(self, registered: Registered) -> Wanted | None:
        try:
            password = self._keys.password(registered.identity, registered.kid)
        except DeviceError as error:
            self._metrics.keyless.inc()
            _log.error("device_cannot_connect", reason=str(error))
            return None
        allowed = allowed_to(
            registered.identity,
            registered.table,
            self._readers_of_orders,
            registered.star_mac,
            star_speaks=registered.star_speaks,
        )
        return Wanted(registered.identity, password, allowed)

    async def _do(self, control: BrokerControl, changes: Sequence[Sequence[ControlCommand]]) -> int:
        """Carry out these changes; the number of commands. What the broker refuses of one stops no
        other."""
        done, refused = 0, None
        left = deque(changes)
        while batch := taken(left, self._at_once):
            began = self._clock()
            try:
                await control.run(batch)
            except BrokerRefusalError as error:
                refused = refused or error
            self._at_once = paced(self._at_once, self._clock() - began)
            done += len(batch)
            self._metrics.commands.inc(len(batch))
            self.turned_at = self._clock()
        if refused is not None:
            raise refused
        return done


def _place(registered: Registered) -> tuple[str, str]:
    return registered.identity.store, registered.identity.device
