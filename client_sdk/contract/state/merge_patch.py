"""JSON Merge Patch (RFC 7396): an object with the changed members; null removes one. Pure."""

from __future__ import annotations

from typing import Any


def merge_patch(target: Any, patch: Any) -> Any:
    """The target after the patch; neither is changed, and the result shares their parts.

    Args:
        target: any JSON value; anything but an object counts as an empty object.
        patch: an object is merged; anything else replaces the whole target.
    """
    if type(patch) is not dict:
        return patch
    merged = target.copy() if type(target) is dict else {}
    for name, part in patch.items():
        if part is None:
            merged.pop(name, None)
        elif type(part) is dict:
            merged[name] = merge_patch(merged.get(name), part)
        else:
            merged[name] = part
    return merged
