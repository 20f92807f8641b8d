"""Reads the compose files: what a service gets, with the file for `secure` over the first."""

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
_LISTS: Final = ("secrets", "networks")


def composed(*files: str) -> dict[str, Any]:
    """The files merged as `docker compose -f … -f …` merges them."""
    whole: dict[str, Any] = {"services": {}, "secrets": {}}
    for file in files:
        parsed = yaml.safe_load((DEPLOY / file).read_text())
        whole["secrets"] |= parsed.get("secrets", {})
        for name, service in parsed["services"].items():
            known = whole["services"].setdefault(name, {})
            for key, value in service.items():
                if key in _MAPPINGS:
                    known[key] = known.get(key, {}) | value
                elif key == "volumes":
                    # A mount replaces an earlier one at the same path.
                    mounts = {one.split(":")[1]: one for one in [*known.get(key, []), *value]}
                    known[key] = list(mounts.values())
                elif key in _LISTS:
                    known[key] = [*known.get(key, []), *value]
                else:
                    known[key] = value
    return whole


def environment_of(service: Mapping[str, Any], secrets: Mapping[str, str]) -> dict[str, str]:
    """The environment of a service's processes."""
    image = dict(re.findall(r"(YABAM_\w+)=(\S+)", DOCKERFILE))
    own = {
        name: VARIABLE.sub(lambda match: secrets[match[1]], value)
        for name, value in service["environment"].items()
    }
    return image | own


def secrets_of(service: Mapping[str, Any]) -> dict[str, str]:
    """The secrets of a service, by their names in its container."""
    given = service.get("secrets", [])
    long = [one if isinstance(one, dict) else {"source": one, "target": one} for one in given]
    return {one["target"]: one["source"] for one in long}


def secret_files(
    whole: Mapping[str, Any], folder: Path, service: Mapping[str, Any]
) -> dict[str, str]:
    """The file of each secret of a service in the folder that `prepare` filled, by its path in
    the container."""
    return {
        f"/run/secrets/{name}": str(folder / whole["secrets"][source]["file"])
        for name, source in secrets_of(service).items()
    }


def replaced(text: str, there: Mapping[str, str]) -> str:
    """The text with this machine's paths in place of those in containers."""
    for name, here in there.items():
        text = text.replace(name, here)
    return text


def unlike_any_other() -> Callable[[], str]:
    """Makes secrets, each different."""
    made = iter(f"{number:02}" + "x" * 41 for number in range(100))
    return lambda: next(made)
