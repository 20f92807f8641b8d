"""A brand's menu, where a person's rule decides conflicts: python menu.py. Start it twice.

Type `bibimbap 9900 Bibimbap` (an id, a price and a name) to set a price.
"""

import os
import sys

from client_sdk import BlockingYabamClient

BRAND = "brand:kimbap"
EMPTY = {"currency": "KRW", "items": {}}


def decide(key, base, current, own):
    """Keep what only one side has changed; if both have, take the higher price.

    `base` is what this edit was made on, `current` what Core has by now, `own` what this side
    wants. The answer is sent as a new edit on `current`; None would keep Core's value.
    """
    if current is None or own is None:
        return None
    before = (base or EMPTY)["items"]
    items = dict(current["items"])
    for name, item in own["items"].items():
        theirs = items.get(name)
        if item == before.get(name):
            continue  # not changed here
        if theirs is None or theirs == before.get(name):
            items[name] = item  # changed here only
        else:
            items[name] = max(item, theirs, key=lambda one: one["price"])
    print("others were first: decided", flush=True)
    return current | {"items": items}


def draw(menu):
    """Print the menu as this side shows it."""
    items = (menu.value or EMPTY)["items"].values()
    prices = ", ".join(sorted(f"{item['name']} {item['price']}" for item in items)) or "empty"
    print(f"{prices}{' ...' if menu.pending else ''}", flush=True)
    if menu.meta.error:
        print(f"refused: {menu.meta.error.detail}", flush=True)


url, token = os.environ["YABAM_CORE_URL"], os.environ["YABAM_TOKEN"]
with BlockingYabamClient(url, token, [BRAND], resolvers={"menu": decide}) as client:
    menu = client.state(BRAND)["menu"]
    menu.subscribe(draw)
    for typed in sys.stdin:
        name, price, shown = [*typed.strip().split(" ", 2), "", ""][:3]
        if shown and price.isdigit():
            item = {"name": shown, "price": int(price)}
            menu.merge({"currency": "KRW", "items": {name: item}})
        else:
            print("write: bibimbap 9900 Bibimbap", flush=True)
