"""The names of the kitchen's store and devices."""

from __future__ import annotations

from typing import Final

STORE: Final = "kitchen"
PRINTER: Final = "printer-1"
BELL: Final = "bell-1"
LAMPS: Final = tuple(f"lamp-{number}" for number in range(4))
EVENT: Final = "pressed"
"""The name of the bell's event."""
