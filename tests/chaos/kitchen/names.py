"""The kitchen's names."""

from __future__ import annotations

from typing import Final

STORE: Final = "kitchen"
PRINTER: Final = "printer-1"
BELL: Final = "bell-1"
LAMPS: Final = tuple(f"lamp-{number}" for number in range(4))
EVENT: Final = "pressed"
"""What the bell says."""
