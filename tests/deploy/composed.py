"""The compose files, read: what a service is given, with the file for `secure` over the first."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
DOCKERFILE: Final = (DEPLOY / "docker/Dockerfile").read_text()
VARIABLE: Final = re.compile(r"\$\{(\w+)(?::([?-])([^}]*))?\}")
_MAPPINGS: Final = ("environment", "depends_on", "deploy")
_LISTS: Final = ("volumes", "secrets", "networks")


def composed(*files: str) -> dict[str, Any]:
    """The files laid over each other, as `docker compose -f … -f …` lays them."""
    whole: dict[str, Any] = {"services": {}, "secrets": {}}
    for file in files:
        parsed = yaml.safe_load((DEPLOY / file).read_text())
        whole["secrets"] |= parsed.get("secrets", {})
        for name, service in parsed["services"].items():
            known = whole["services"].setdefault(name, {})
            for key, value in service.items():
                if key in _MAPPINGS:
                    known[key] = known.get(key, {}) | value
                elif key in _LISTS:
                    known[key] = [*known.get(key, []), *value]
                else:
                    known[key] = value
    return whole


def environment_of(service: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, str]:
    """What the processes of a service find in their environment."""
    image = dict(re.findall(r"(YABAM_\w+)=(\S+)", DOCKERFILE))
    own = {
        name: VARIABLE.sub(lambda match: secrets[match[1]], value)
        for name, value in service["environment"].items()
    }
    return image | own


def secret_files(whole: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Where each secret stands in the folder that `prepare` filled, by its place in containers."""
    return {f"/run/secrets/{k}": str(folder / v["file"]) for k, v in whole["secrets"].items()}


def replaced(text: str, there: Mapping[str, str]) -> str:
    """The text, with what this machine has in the place of what containers have."""
    for name, here in there.items():
        text = text.replace(name, here)
    return text


def unlike_any_other() -> Callable[[], str]:
    """Secrets, each another one."""
    made = iter(f"{number:02}" + "x" * 41 for number in range(100))
    return lambda: next(made)
