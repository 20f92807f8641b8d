"""What store 1 has sold out: python sold_out.py. It works offline, and a kill loses nothing.

Type `bibimbap Bibimbap` (an id and a name) when it is sold out, `-bibimbap` when it is back.
"""

import os
import sys

from client_sdk import BlockingYabamClient, SqliteState

SHOP = "public:1"


def draw(document):
    """Print what is sold out as this device shows it."""
    items = (document.value or {"items": {}})["items"].values()
    names = ", ".join(sorted(item["name"] for item in items)) or "nothing"
    waiting = f" ({document.pending} not sent)" if document.pending else ""
    print(f"sold out: {names}{waiting}", flush=True)
    if document.meta.error:
        print(f"refused: {document.meta.error.detail}", flush=True)


url, token = os.environ["YABAM_CORE_URL"], os.environ["YABAM_TOKEN"]
# The folder keeps the edits that Core has not answered, and Core's last known values.
with BlockingYabamClient(url, token, [SHOP], state=SqliteState("sold-out-state")) as client:
    sold_out = client.state(SHOP)["sold-out"]
    draw(sold_out)
    sold_out.subscribe(draw)
    for typed in sys.stdin:
        key, _, name = typed.strip().partition(" ")
        if key.startswith("-"):
            sold_out.merge({"items": {key[1:]: None}})
        elif name:
            sold_out.merge({"items": {key: {"name": name}}})
        else:
            print("write: bibimbap Bibimbap, or -bibimbap", flush=True)
