"""One phone at a table: python cart.py NAME. Start it four times, each in its own terminal.

Type `2 Bibimbap 9500` to order, `-Bibimbap` to take your own back; Ctrl-D ends.
"""

import os
import sys
import uuid

from client_sdk import BlockingYabamClient

TABLE = "party:1/5"
me = sys.argv[1]


def draw(cart):
    """Print the cart as this phone shows it."""
    lines = (cart.value or {"lines": {}})["lines"].values()
    ordered = sorted(f"{one['quantity']} {one['name']} ({one.get('by', 'owner')})" for one in lines)
    total = sum(one["quantity"] * one["unit_price"] for one in lines)
    waiting = f" [{cart.pending} on the way]" if cart.pending else ""
    print(f"{', '.join(ordered) or 'empty'} = {total}{waiting}", flush=True)
    if cart.meta.error:
        print(f"refused: {cart.meta.error.detail}", flush=True)


url, token = os.environ["YABAM_CORE_URL"], os.environ["YABAM_TOKEN"]
with BlockingYabamClient(url, token, [TABLE]) as client:
    cart = client.state(TABLE)["cart"]
    cart.subscribe(draw)
    for typed in sys.stdin:
        words = typed.split()
        if len(words) == 3 and words[0].isdigit() and words[2].isdigit():
            line = {"name": words[1], "quantity": int(words[0]), "unit_price": int(words[2])}
            # Each line has a new id: no two phones ever make the same one.
            cart.merge({"lines": {uuid.uuid4().hex: line | {"by": me}}})
        elif typed.startswith("-"):
            lines = (cart.value or {"lines": {}})["lines"]
            mine = {
                key: None  # null takes away
                for key, one in lines.items()
                if one["name"] == typed[1:].strip() and one.get("by") == me
            }
            cart.merge({"lines": mine})
        else:
            print("write: 2 Bibimbap 9500, or -Bibimbap", flush=True)
