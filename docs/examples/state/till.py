"""A till that works without a network: python till.py.

Type `new Kimbap 3500` to place an order, `accepted`, `preparing`, `ready`, `served`, `paid` or
`cancelled` to step the oldest one, and `-Kimbap` when it is sold out.
"""

import os
import sys
import threading

from client_sdk import BlockingYabamClient, Item, SqliteState, StateError

ORDERS, SHOP = "store:1", "public:1"


def draw():
    """Print the orders as this till shows them: dots mark what Core has not answered yet."""
    shown = [
        f"{one.order.items[0].name} {one.order.status}{' ...' if one.pending else ''}"
        + (f" ({one.error.slug})" if one.error else "")
        for one in client.commands.orders
    ]
    print(", ".join(shown) or "no orders", flush=True)


url, token = os.environ["YABAM_CORE_URL"], os.environ["YABAM_TOKEN"]
# One folder keeps edits and commands of orders, in the order in which they were made.
state = SqliteState("till-state")
with BlockingYabamClient(url, token, [ORDERS, SHOP], state=state) as client:
    client.commands.subscribe(draw)
    # The client must run to receive orders; `draw` prints them.
    threading.Thread(target=client.run, args=[lambda change: None], daemon=True).start()
    for typed in sys.stdin:
        words = typed.split()
        try:
            if len(words) == 3 and words[0] == "new" and words[2].isdigit():
                items = [Item(words[1], 1, int(words[2]))]
                client.commands.place("1", items, currency="KRW", table_id="5")
            elif typed.startswith("-"):
                name = typed[1:].strip()
                sold_out = client.state(SHOP)["sold-out"]
                sold_out.merge({"items": {name.lower(): {"name": name}}})
            elif words and client.commands.orders:
                client.commands.transition(client.commands.orders[0], words[0])
        except StateError as error:
            print(error, flush=True)
