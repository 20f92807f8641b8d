"""What each device may do at the broker, and the commands that grant it. Pure.

One user, one client id and one role per device and generation. Topics are written out, because
Mosquitto 2.0 roles have no patterns with the user's name. Two devices never share a role, because
changing a role disconnects all who have it.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

from msgspec import Struct

from client_sdk.contract.errors import DeviceError
from server_common.devices.identity import Identity, parse_user
from server_common.devices.mqtt_topics import (
    PREFIX,
    STAR_PREFIX,
    STAR_UP_PREFIX,
    STAR_WORDS,
    UP_LEVELS,
    star_topic,
    star_up_topic,
)

ADMIN_USER: Final = "yabam-admin"
GATEWAY_USER: Final = "yabam-gateway"
_ROLE: Final = "device:"
_GATEWAY_ROLE: Final = "yabam-gateway"
FEW_AT_ONCE: Final = 4
"""So many commands are sent at once while it is not known how long the broker takes."""
_MAX_AT_ONCE: Final = 50
_SLOW_S: Final = 0.5
_QUICK_S: Final = 0.2

AclType = Literal["publishClientSend", "subscribeLiteral", "subscribePattern"]
ControlCommand = dict[str, Any]
"""One command of Mosquitto's dynamic security."""


class Allowed(Struct, frozen=True, order=True):
    """One thing that a role permits; all else is denied."""

    kind: AclType
    topic: str


class Wanted(Struct, frozen=True):
    """A device that may connect."""

    identity: Identity
    password: str
    allowed: frozenset[Allowed]


class Present(Struct, frozen=True):
    """What the broker has now."""

    clients: Mapping[str, str]
    """User names, each with its text name."""
    pinned: Mapping[str, str]
    """User names, each with the only client id that it may use; empty: any."""
    roles: Mapping[str, frozenset[Allowed]]
    """Role names, each with what it permits."""
    holders: Mapping[str, Collection[str]]
    """User names, each with its roles."""
    groups: Mapping[str, Collection[str]] = {}
    """Names of groups, which only people make, each with its roles."""


def allowed_to(
    identity: Identity,
    table: str | None,
    readers_of_orders: Sequence[str],
    star_mac: str | None = None,
    *,
    star_speaks: bool = False,
) -> frozenset[Allowed]:
    """What a device may do: use its own topics, read its store's public state, and no more.

    Args:
        identity: the device.
        table: the table that it belongs to, whose orders it may follow; None: it has none.
        readers_of_orders: the devices of these names (`*` stands for anything) may follow all
            orders of their store, with the guests' names.
        star_mac: the MAC address of a Star printer, which hears when it is called; None: it is
            none.
        star_speaks: whether that printer takes its jobs over MQTT, and answers there.
    """
    store = f"{PREFIX}/{identity.store}"
    own = f"{store}/devices/{identity.device}"
    allowed = {Allowed("publishClientSend", f"{own}/{level}") for level in UP_LEVELS}
    hears = [f"{own}/commands", f"{own}/accepted", f"{store}/marks"]
    if table is not None:
        hears.append(f"{store}/tables/{table}/orders")
    if any(fnmatchcase(identity.device, name) for name in readers_of_orders):
        hears.append(f"{store}/orders")
        allowed.add(Allowed("subscribePattern", f"{store}/tables/+/orders"))
    allowed |= {Allowed("subscribeLiteral", topic) for topic in hears}
    if star_mac is not None:
        allowed.add(Allowed("subscribePattern", star_topic(star_mac, "#")))
        if star_speaks:
            says = (star_up_topic(star_mac, word) for word in STAR_WORDS)
            allowed |= {Allowed("publishClientSend", topic) for topic in says}
    allowed.add(Allowed("subscribePattern", f"{store}/state/+"))
    return frozenset(allowed)


def allowed_to_gateway() -> frozenset[Allowed]:
    """What the gateway may do: use all topics of this system, and none of the broker's own."""
    return frozenset(
        {
            Allowed("publishClientSend", f"{PREFIX}/#"),
            Allowed("publishClientSend", f"{STAR_PREFIX}/#"),
            Allowed("subscribePattern", f"{PREFIX}/#"),
            Allowed("subscribePattern", f"$share/yabam/{PREFIX}/#"),
            Allowed("subscribePattern", f"{STAR_UP_PREFIX}/#"),
            Allowed("subscribePattern", f"$share/yabam/{STAR_UP_PREFIX}/#"),
        }
    )


def role_of(user: str) -> str:
    """The name of a device's role."""
    return f"{_ROLE}{user}"


def gateway_commands(password: str, present: Present) -> list[ControlCommand]:
    """What gives the gateway its user, its password and its role."""
    role = _role_commands(_GATEWAY_ROLE, allowed_to_gateway(), present)
    # The broker never shows a password, so the user's text name says which one it has.
    text = f"gateway {hashlib.sha256(password.encode()).hexdigest()[:16]}"
    if present.clients.get(GATEWAY_USER) == text and not role:
        return []
    client: ControlCommand = {
        "command": "createClient",
        "username": GATEWAY_USER,
        "password": password,
        "textname": text,
        "roles": [{"rolename": _GATEWAY_ROLE}],
    }
    return [*_client_removal(GATEWAY_USER, present), *role, client]


def device_commands(wanted: Wanted, present: Present) -> list[ControlCommand]:
    """What gives a device its user, its client id and its role; nothing if it has them."""
    user = wanted.identity.user
    role = role_of(user)
    changed = _role_commands(role, wanted.allowed, present)
    is_right = present.pinned.get(user) == user and list(present.holders.get(user, ())) == [role]
    if is_right and not changed:
        return []
    client: ControlCommand = {
        "command": "createClient",
        "username": user,
        "clientid": user,
        "password": wanted.password,
        "roles": [{"rolename": role}],
    }
    return [*_client_removal(user, present), *changed, client]


def closing_commands(user: str, present: Present) -> list[ControlCommand]:
    """The commands that delete a device's user, end its session and take all rights from its role.

    The next comparison deletes the role itself: only a comparison knows who else has it.
    """
    commands = _client_removal(user, present)
    if role_of(user) in present.roles:
        commands.append({"command": "modifyRole", "rolename": role_of(user), "acls": []})
    return commands


def removals(users: Iterable[str], present: Present) -> list[list[ControlCommand]]:
    """The commands that delete users of devices, end their sessions and delete their roles.

    Args:
        users: the names of the users.
        present: all that the broker has.

    Returns:
        The commands for each user, to be carried out in one piece.
    """
    others: dict[str, list[ControlCommand]] = {}
    for holder, roles in present.holders.items():
        for role in roles:
            if role != role_of(holder):
                lost = {"command": "removeClientRole", "username": holder, "rolename": role}
                others.setdefault(role, []).append(lost)
    for group, roles in present.groups.items():
        for role in roles:
            lost = {"command": "removeGroupRole", "groupname": group, "rolename": role}
            others.setdefault(role, []).append(lost)
    return [_removal(user, present, others.get(role_of(user), ())) for user in users]


def strangers(wanted: Collection[str], present: Present) -> list[str]:
    """The users at the broker whose devices may no longer connect."""
    roles = {name.removeprefix(_ROLE) for name in present.roles if name.startswith(_ROLE)}
    known = {user for user in present.clients if _is_device(user)} | roles
    return sorted(known - set(wanted))


def taken(changes: deque[Sequence[ControlCommand]], at_most: int) -> list[ControlCommand]:
    """Take the next changes; their commands are to be sent at once.

    No change is divided: of two halves, another admin's commands could come in between.

    Args:
        changes: what is left to do; those taken are no longer in it.
        at_most: so many commands, unless the first change alone has more.
    """
    batch: list[ControlCommand] = []
    while changes and (not batch or len(batch) + len(changes[0]) <= at_most):
        batch += changes.popleft()
    return batch


def paced(at_once: int, took_s: float) -> int:
    """The number of commands for the next message, from how long the last one took.

    Mosquitto 2.0 writes all users and roles to its file with each command, and serves nobody else
    until all commands of a message are done.

    Args:
        at_once: how many commands the last message had at most.
        took_s: seconds until all of them were answered.
    """
    if took_s > _SLOW_S:
        return max(1, at_once // 2)
    return min(_MAX_AT_ONCE, at_once * 2) if took_s < _QUICK_S else at_once


def _removal(user: str, present: Present, others: Iterable[ControlCommand]) -> list[ControlCommand]:
    role = role_of(user)
    if role not in present.roles:
        return _client_removal(user, present)
    # Mosquitto crashes some time after a role is deleted that a user or a group still has: one that
    # got it by createClient or createGroup keeps a pointer to it. So all lose it first: those to
    # whom people gave it, and the device's user, which another admin may have created meanwhile.
    return [
        *others,
        {"command": "deleteClient", "username": user},
        {"command": "deleteRole", "rolename": role},
    ]


def _client_removal(user: str, present: Present) -> list[ControlCommand]:
    """What ends a user's session, before its role changes: a new session has the new rights."""
    return [{"command": "deleteClient", "username": user}] if user in present.clients else []


def _role_commands(
    role: str, allowed: frozenset[Allowed], present: Present
) -> list[ControlCommand]:
    if present.roles.get(role) == allowed:
        return []
    acls = [
        {"acltype": one.kind, "topic": one.topic, "priority": 0, "allow": True}
        for one in sorted(allowed)
    ]
    # In its place: a role must not be deleted while somebody has it (see `_removal`).
    command = "modifyRole" if role in present.roles else "createRole"
    return [{"command": command, "rolename": role, "acls": acls}]


def _is_device(user: str) -> bool:
    try:
        parse_user(user)
    except DeviceError:
        return False
    return True
