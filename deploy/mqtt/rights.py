"""The first file of Mosquitto's dynamic-security plugin: one user, who may only manage the others.

Mosquitto rewrites the file with each change, and `yabam mqtt-admin` makes the changes over MQTT.
The file is created at the first start, and again if the admin could not sign in with it. That can
happen: Mosquitto before 2.0.16 first empties the file and then writes it, so if it is killed in
between, it starts without any user.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from typing import Any, Final

from core_api.broker_admin.rights import ADMIN_USER

_ITERATIONS: Final = 20_000
_CONTROL: Final = "$CONTROL/dynamic-security/#"


def first_state(password: str) -> str:
    """The text of the file, with the admin's password."""
    salt = secrets.token_bytes(12)
    derived = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS)
    state: dict[str, Any] = {
        "defaultACLAccess": {
            "publishClientSend": False,
            "publishClientReceive": True,
            "subscribe": False,
            "unsubscribe": True,
        },
        "clients": [
            {
                "username": ADMIN_USER,
                "textName": "yabam mqtt-admin",
                "password": base64.b64encode(derived).decode(),
                "salt": base64.b64encode(salt).decode(),
                "iterations": _ITERATIONS,
                "roles": [{"rolename": "admin"}],
            }
        ],
        "groups": [],
        "roles": [
            {
                "rolename": "admin",
                "acls": [
                    {"acltype": kind, "topic": _CONTROL, "priority": 0, "allow": True}
                    for kind in ("publishClientSend", "publishClientReceive", "subscribePattern")
                ],
            }
        ],
    }
    return json.dumps(state, indent=1)


def lets_in(state: bytes, password: str) -> bool:
    """Whether the admin can sign in with the users in this file.

    Args:
        state: the content of the file, which may be damaged.
        password: the admin's password. It is not checked if the file stores it in the form of
            Mosquitto 2.1.
    """
    try:
        users = {one["username"]: one for one in json.loads(state)["clients"]}
        admin = users[ADMIN_USER]
        if admin.get("disabled"):
            return False
        if "password" not in admin:
            return "encoded_password" in admin
        salt, derived = base64.b64decode(admin["salt"]), base64.b64decode(admin["password"])
        rounds = admin["iterations"]
        return derived == hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return False
