"""What a device may do at the broker, and what has to be changed there."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec
import pytest

from core_api.broker_admin.control import PAGE
from core_api.broker_admin.rights import (
    GATEWAY_USER,
    Allowed,
    ControlCommand,
    Present,
    Wanted,
    allowed_to,
    allowed_to_gateway,
    closing_commands,
    device_commands,
    gateway_commands,
    paced,
    removals,
    role_of,
    strangers,
    taken,
)
from server_common.devices.identity import MAX_GENERATION, Identity
from server_common.mqtt.broker import MAX_PACKET_BYTES

LAMP = Identity("12", "lamp", 2)
USER = LAMP.user
WANTED = Wanted(LAMP, "secret", allowed_to(LAMP, None, ()))
NOTHING = Present({}, {}, {}, {})
AS_IT_SHOULD_BE = Present(
    {USER: ""}, {USER: USER}, {role_of(USER): WANTED.allowed}, {USER: [role_of(USER)]}
)


def names(commands: list[dict[str, object]]) -> list[object]:
    return [command["command"] for command in commands]


def topics(kind: str, *readers: str, table: str | None = None) -> set[str]:
    return {one.topic for one in allowed_to(LAMP, table, readers) if one.kind == kind}


def test_a_device_publishes_only_what_is_its_own() -> None:
    assert all(t.startswith("yabam/v1/12/devices/lamp/") for t in topics("publishClientSend"))


def test_a_device_hears_its_commands_its_receipts_and_the_public_state_of_its_store() -> None:
    assert topics("subscribeLiteral") == {
        "yabam/v1/12/devices/lamp/commands", "yabam/v1/12/devices/lamp/accepted",
        "yabam/v1/12/marks",
    }  # fmt: skip
    assert topics("subscribePattern") == {"yabam/v1/12/state/+"}


def test_a_star_printer_hears_when_it_is_called_and_no_other_is() -> None:
    mac = "00:11:62:1d:9a:b7"
    more = allowed_to(LAMP, None, (), mac) - allowed_to(LAMP, None, ())
    assert more == {Allowed("subscribePattern", f"star/cloudprnt/to-device/{mac}/#")}
    speaks = allowed_to(LAMP, None, (), mac, star_speaks=True) - allowed_to(LAMP, None, (), mac)
    assert speaks == {
        Allowed("publishClientSend", f"star/cloudprnt/to-server/{mac}/{word}")
        for word in ("client-status", "print-result", "client-will")
    }


def test_a_device_of_a_table_hears_the_orders_of_that_table() -> None:
    assert "yabam/v1/12/tables/5/orders" in topics("subscribeLiteral", table="5")


@pytest.mark.parametrize(("readers", "may"), [(["lamp"], True), (["l*"], True), (["bell"], False)])
def test_the_orders_of_the_store_are_for_those_who_are_named(readers: list[str], may: bool) -> None:
    assert ("yabam/v1/12/orders" in topics("subscribeLiteral", *readers)) == may


def test_a_broker_that_has_nothing_gets_role_and_user_with_its_only_client_id() -> None:
    role, client = device_commands(WANTED, NOTHING)
    assert (role["command"], role["rolename"]) == ("createRole", role_of(USER))
    assert (client["command"], client["username"], client["clientid"]) == (
        "createClient", USER, USER,
    )  # fmt: skip
    assert client["roles"] == [{"rolename": role_of(USER)}]


def test_what_is_as_it_should_be_is_left_alone() -> None:
    assert device_commands(WANTED, AS_IT_SHOULD_BE) == []


def test_a_client_id_that_is_not_pinned_is_mended() -> None:
    present = Present({USER: ""}, {USER: ""}, AS_IT_SHOULD_BE.roles, AS_IT_SHOULD_BE.holders)
    assert names(device_commands(WANTED, present)) == ["deleteClient", "createClient"]


def test_a_role_that_permits_more_is_changed_in_its_place_once_its_user_is_gone() -> None:
    more = {role_of(USER): WANTED.allowed | {Allowed("subscribePattern", "#")}}
    present = Present({USER: ""}, {USER: USER}, more, AS_IT_SHOULD_BE.holders)
    assert names(device_commands(WANTED, present)) == [
        "deleteClient", "modifyRole", "createClient",
    ]  # fmt: skip


def test_a_gateways_role_is_changed_in_its_place_once_the_gateway_is_gone() -> None:
    role = str(gateway_commands("first" * 4, NOTHING)[0]["rolename"])
    present = Present({GATEWAY_USER: ""}, {}, {role: frozenset()}, {})
    assert names(gateway_commands("first" * 4, present)) == [
        "deleteClient", "modifyRole", "createClient",
    ]  # fmt: skip


def test_a_second_role_is_taken_away() -> None:
    holders = {USER: [role_of(USER), "admin"]}
    present = Present({USER: ""}, {USER: USER}, AS_IT_SHOULD_BE.roles, holders)
    assert names(device_commands(WANTED, present)) == ["deleteClient", "createClient"]


def test_what_is_closed_keeps_an_empty_role_until_it_is_known_who_else_has_it() -> None:
    client, role = closing_commands(USER, AS_IT_SHOULD_BE)
    assert (client["command"], client["username"]) == ("deleteClient", USER)
    assert role == {"command": "modifyRole", "rolename": role_of(USER), "acls": []}
    assert closing_commands(USER, NOTHING) == []


def test_a_role_is_deleted_once_nobody_has_it() -> None:
    role = role_of(USER)
    held = Present(
        {USER: "", "somebody": ""},
        {USER: USER},
        AS_IT_SHOULD_BE.roles,
        {USER: [role], "somebody": ["admin", role], "another": ["admin"]},
        {"kitchen": [role], "hall": ["admin"]},
    )
    (change,) = removals([USER], held)
    *lost, client, deletion = change
    assert (client["command"], client["username"]) == ("deleteClient", USER)
    assert deletion == {"command": "deleteRole", "rolename": role}
    assert lost == [
        {"command": "removeClientRole", "username": "somebody", "rolename": role},
        {"command": "removeGroupRole", "groupname": "kitchen", "rolename": role},
    ]


def test_a_role_without_its_user_is_deleted_with_the_user_that_came_meanwhile() -> None:
    (change,) = removals([USER], Present({}, {}, AS_IT_SHOULD_BE.roles, {}))
    assert names(change) == ["deleteClient", "deleteRole"]
    assert removals([USER], NOTHING) == [[]]


def test_a_change_is_sent_in_one_piece() -> None:
    changes = [[{"command": f"{user}-{step}"} for step in range(3)] for user in range(100)]
    sent = all_taken([[], *changes, []], 50)
    assert [command for batch in sent for command in batch] == [c for one in changes for c in one]
    assert all(0 < len(batch) <= 50 and len(batch) % 3 == 0 for batch in sent)
    assert [len(batch) for batch in all_taken(changes[:3], 1)] == [3, 3, 3]
    assert all_taken([[], []], 50) == []


def all_taken(changes: list[list[ControlCommand]], at_most: int) -> list[list[ControlCommand]]:
    left: deque[Sequence[ControlCommand]] = deque(changes)
    return list(iter(lambda: taken(left, at_most), []))


def test_a_broker_that_is_slow_gets_fewer_commands_at_once() -> None:
    assert [paced(50, 6.5), paced(25, 0.6), paced(1, 9.0)] == [25, 12, 1]
    assert [paced(12, 0.3), paced(12, 0.1), paced(50, 0.0)] == [12, 24, 50]


def test_a_page_of_the_largest_roles_fits_into_a_packet() -> None:
    longest = Identity("s" * 64, "d" * 64, MAX_GENERATION)
    most = allowed_to(longest, "t" * 64, ("*",), "00:11:62:1d:9a:b7", star_speaks=True)
    (role, _) = device_commands(Wanted(longest, "p", most), NOTHING)
    assert PAGE * len(msgspec.json.encode(role)) < MAX_PACKET_BYTES


def test_devices_that_may_not_connect_any_more_are_found_and_other_users_are_not() -> None:
    old = Identity("12", "lamp", 1).user
    present = Present(
        {USER: "", old: "", "yabam-admin": "", GATEWAY_USER: "", "somebody": ""},
        {},
        {role_of("12~gone~1"): frozenset(), "admin": frozenset()},
        {},
    )
    assert strangers({USER}, present) == ["12~gone~1", old]


def test_the_gateway_gets_another_password_when_the_setting_changes() -> None:
    role, client = gateway_commands("first" * 4, NOTHING)
    roles = {str(role["rolename"]): allowed_to_gateway()}
    present = Present({GATEWAY_USER: str(client["textname"])}, {}, roles, {})
    assert gateway_commands("first" * 4, present) == []
    assert names(gateway_commands("other" * 4, present)) == ["deleteClient", "createClient"]
