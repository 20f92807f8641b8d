"""The board: a pin that says what it is set to, and a watchdog."""

from __future__ import annotations

from typing import Final


class Pin:
    """An output."""

    OUT: Final = 1

    def __init__(self, number: int, mode: int) -> None:
        pass

    def value(self, level: bool) -> None:
        """Set it."""
        print("on" if level else "off", flush=True)


class WDT:
    """It never bites: whoever runs the program sees it end."""

    def __init__(self, timeout: int) -> None:
        pass

    def feed(self) -> None:
        """The program is well."""
