"""Writes `docs/asyncapi.json`: `python -m deploy.asyncapi`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

from deploy.asyncapi.document import document

TARGET: Final = Path("docs/asyncapi.json")


def render() -> str:
    """The text of the file."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(render())
    print(f"wrote {TARGET}", file=sys.stderr)
