"""A value that is being changed; only the parts along changed paths are copied. Pure.

Each object and array is copied once, when it is first written to. The original value is never
changed; both share all unchanged parts.
"""

from __future__ import annotations

from typing import Any

from client_sdk.contract.errors import PointerError
from client_sdk.contract.state.pointer import MISSING, Path, array_index, format_pointer


class Draft:
    """The changed value so far; `MISSING`: there is none.

    Args:
        value: the original; it is not changed.
    """

    __slots__ = ("_own", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        # By id(), and with a reference: the id of a deleted object could be reused by another one.
        self._own: dict[int, Any] = {}

    def container(self, path: Path) -> Any:
        """The object or array at the path, copied if necessary so that it may be changed.

        Raises:
            PointerError: there is no object or array.
        """
        node = self._owned(self.value)
        if node is None:
            raise PointerError(_nothing(()))
        self.value = node
        for depth, part in enumerate(path, 1):
            key = _key(node, part)
            child = None if key is MISSING else self._owned(node[key])
            if child is None:
                raise PointerError(_nothing(path[:depth]))
            node[key] = child
            node = child
        return node

    def put(self, path: Path, value: Any) -> None:
        """Set the value at the path. Whatever is not an object on the way is replaced by one."""
        if not path:
            self.value = value
            return
        node = self._object(self.value)
        self.value = node
        for part in path[:-1]:
            child = self._object(node.get(part))
            node[part] = child
            node = child
        node[path[-1]] = value

    def remove(self, path: Path) -> None:
        """Remove the value at the path, through objects only; a missing value is no error."""
        if not path:
            self.value = MISSING
            return
        node = self.value
        for part in path:
            if type(node) is not dict or part not in node:
                return
            node = node[part]
        del self.container(path[:-1])[path[-1]]

    def _object(self, node: Any) -> Any:
        if type(node) is dict:
            return self._owned(node)
        made: dict[str, Any] = {}
        self._own[id(made)] = made
        return made

    def _owned(self, node: Any) -> Any:
        if id(node) in self._own:
            return node
        if type(node) is not dict and type(node) is not list:
            return None
        made = node.copy()
        self._own[id(made)] = made
        return made


def _key(node: Any, part: str) -> Any:
    """The key or index of the part in the node; MISSING: the node has no such part."""
    if type(node) is dict:
        return part if part in node else MISSING
    index = array_index(part)
    return index if index is not None and index < len(node) else MISSING


def _nothing(path: Path) -> str:
    where = format_pointer(path)
    return f"there is no object and no array at {where}" if where else "there is no value"
