"""JSON Merge Patch (RFC 7396): an object that says what changes, null for what goes. Pure."""

from __future__ import annotations

from typing import Any


def merge_patch(target: Any, patch: Any) -> Any:
    """The target after the patch; neither is changed, and the result shares their parts.

    Args:
        target: any JSON value; what is no object counts as an empty one.
        patch: an object merges, anything else replaces the whole.
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
