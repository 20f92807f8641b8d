"""The first state of Mosquitto's dynamic security: one user, who may only manage the others.

Mosquitto rewrites the file with each change. It is created once; from then on `yabam mqtt-admin`
manages its content over MQTT.
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
    """The file's text, with this password of the admin."""
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
