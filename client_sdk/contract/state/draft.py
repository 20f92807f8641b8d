"""A value that is being changed: copied along the paths that change, and nowhere else. Pure.

Each object and array is copied once, when it is first written to; what the value was made from is
never touched, and both share all that stayed the same.
"""

from __future__ import annotations

from typing import Any

from client_sdk.contract.errors import PointerError
from client_sdk.contract.state.pointer import MISSING, Path, array_index, format_pointer


class Draft:
    """The value so far; `MISSING`: there is none.

    Args:
        value: what it begins as; never changed.
    """

    __slots__ = ("_own", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        # By identity, and held: an object that is gone could lend its id to a foreign one.
        self._own: dict[int, Any] = {}

    def container(self, path: Path) -> Any:
        """The object or array at the path, as one that may be written to.

        Raises:
            PointerError: there is no object and no array.
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
        """Put the value there, through objects only: what is no object on the way becomes one."""
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
        """Take away what is there, through objects only; nothing there is no error."""
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
    """How the node is asked for that part; MISSING: it has none such."""
    if type(node) is dict:
        return part if part in node else MISSING
    index = array_index(part)
    return index if index is not None and index < len(node) else MISSING


def _nothing(path: Path) -> str:
    where = format_pointer(path)
    return f"there is no object and no array at {where}" if where else "there is no value"
