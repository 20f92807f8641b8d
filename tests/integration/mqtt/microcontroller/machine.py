"""The board: a pin that prints its level, and a watchdog."""

from __future__ import annotations

from typing import Final


class Pin:
    """An output."""

    OUT: Final = 1

    def __init__(self, number: int, mode: int) -> None:
        pass

    def value(self, level: bool) -> None:
        """Set the level."""
        print("on" if level else "off", flush=True)


class WDT:
    """A watchdog that never resets: the test notices when the program ends."""

    def __init__(self, timeout: int) -> None:
        pass

    def feed(self) -> None:
        """Report that the program works."""
