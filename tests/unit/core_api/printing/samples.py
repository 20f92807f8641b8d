"""Printers and jobs for the tests of printing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from client_sdk.contract.order import Item
from client_sdk.printer_media.lines import Line
from core_api.printing.jobs import Job, name_of
from core_api.printing.routing import Printer, Printing
from tests.unit.core_api.samples import NOW, ORDER_ID

KIMBAP = Item("김밥", 2, 3500)
STEW = Item("김치찌개 Kimchi stew", 1, 9000, "덜 맵게")
BEER = Item("맥주 Beer", 3, 4000)
KITCHEN = Printer(["accepted"])
PRINTING = Printing(
    {
        "kitchen-1": KITCHEN,
        "grill": Printer(["accepted"], stations=["grill"]),
        "bar": Printer(["accepted"], stations=["bar"]),
    },
    {"grill": ["김치찌개 kimchi STEW"], "bar": ["맥주 Beer"]},
)


def job(**more: Any) -> Job:
    """A job that nobody has taken."""
    made = Job(
        order=ORDER_ID,
        version=2,
        kind="order",
        copy=1,
        copies=1,
        seq=7,
        made_at=NOW.isoformat(),
        expires_at=(NOW + timedelta(minutes=15)).isoformat(),
        max_age_s=900,
        language="ko",
        columns=42,
        media="picture",
        lines=[Line("테이블 5", "large")],
        id=name_of(ORDER_ID, 2, 1, NOW.isoformat()),
    )
    return replace(made, **more)
