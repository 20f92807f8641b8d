"""Which channels each role may follow: the whole matrix, on what is its own and what is not."""

from __future__ import annotations

import pytest

from client_sdk.contract.channel import KINDS, Channel, parse_channel
from core_api.access.callers import Caller
from core_api.access.reach import check_follow, may_follow
from core_api.errors import ForbiddenError

CHANNELS = (
    "store:12", "table:12/5", "table:12/6", "public:12", "team:12", "party:12/5", "party:12/6",
    "device:12/p1", "device:12/p2", "store:15", "public:15", "brand:b", "brand:c", "global",
)  # fmt: skip

TABLE = Channel("table", "12", "5")
DEVICE = Channel("device", "12", "p1")
ALL = (
    "store:12 table:12/5 table:12/6 public:12 team:12 party:12/5 party:12/6"
    " device:12/p1 device:12/p2"
)

MATRIX: dict[str, tuple[Caller, str]] = {
    "owner": (Caller("o", "owner", frozenset({"12"})), f"{ALL} global"),
    "owner of a brand": (
        Caller("o", "owner", frozenset({"12"}), brand="b"),
        f"{ALL} brand:b global",
    ),
    "owner of all": (
        Caller("o", "owner", frozenset({"*"})),
        f"{ALL} store:15 public:15 global",
    ),
    "other owner": (Caller("o", "owner", frozenset({"15"})), "store:15 public:15 global"),
    "owner of nothing": (Caller("o", "owner"), "global"),
    "table": (Caller("t", "table", table=TABLE), "table:12/5 public:12 party:12/5 global"),
    "table of a brand": (
        Caller("t", "table", table=TABLE, brand="b"),
        "table:12/5 public:12 party:12/5 brand:b global",
    ),
    "same table elsewhere": (
        Caller("t", "table", table=Channel("table", "15", "5")),
        "public:15 global",
    ),
    "table of nothing": (Caller("t", "table"), "global"),
    "producer": (Caller("p", "producer", frozenset({"12"})), "public:12 global"),
    "device": (Caller("d", "device", device=DEVICE), "public:12 device:12/p1 global"),
    "device of nothing": (Caller("d", "device"), "global"),
    "brand": (Caller("b", "brand", brand="b"), "brand:b global"),
    "brand of nothing": (Caller("b", "brand"), "global"),
    "ops": (Caller("x", "ops"), " ".join(CHANNELS)),
    # A token may hold more than its role uses; only the role counts.
    "table with stores": (
        Caller("t", "table", frozenset({"12", "*"}), Channel("table", "15", "1")),
        "public:15 global",
    ),
    "device with a table": (Caller("d", "device", table=TABLE), "global"),
    "brand with stores": (Caller("b", "brand", frozenset({"*"}), brand="c"), "brand:c global"),
    "producer with a table": (Caller("p", "producer", frozenset(), TABLE), "global"),
}


@pytest.mark.parametrize("who", MATRIX)
def test_a_caller_may_follow_exactly_what_is_its_own(who: str) -> None:
    caller, permitted = MATRIX[who]
    allowed = [name for name in CHANNELS if may_follow(caller, parse_channel(name))]
    assert sorted(allowed) == sorted(permitted.split())


def test_the_matrix_asks_about_every_kind_of_channel() -> None:
    assert {parse_channel(name).kind for name in CHANNELS} == set(KINDS)


def test_a_refusal_names_the_channel() -> None:
    with pytest.raises(ForbiddenError, match="team:12"):
        check_follow(Caller("t", "table", table=TABLE), parse_channel("team:12"))
