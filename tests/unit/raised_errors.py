"""Which errors a public function raises, found in its code, and whether its docstring names them.

This reads its own `raise` statements, those of functions inside it, and those of private functions
of its module or class that it calls. An error that it catches does not count, unless it raises it
again. It does not read errors of other public functions, of tasks, or raised from a variable.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

Function = ast.FunctionDef | ast.AsyncFunctionDef
CONSTRUCTORS: Final = ("__init__", "__new__", "__post_init__")
NEVER: Final = frozenset({"AssertionError"})
"""Errors that mean a mistake in the code itself, so no caller can handle them."""
TOO_MUCH: Final = frozenset({"BaseException", "Exception", "object"})
"""Errors that are too general: a docstring that names one says nothing."""
_BLOCKS: Final = ("body", "handlers", "orelse", "finalbody", "cases")
_RAISES: Final = re.compile(r"\braises\b", re.IGNORECASE)
_AS: Final = re.compile(r"raises\s+as\s+`([\w.]+)`", re.IGNORECASE)
_SAME: Final = re.compile(r"the same as `([\w.]+)`,? and\s+raises as it does", re.IGNORECASE)


@dataclass(frozen=True)
class PublicFunction:
    """A function that others call, with its class ("": none) and its docstring's text.

    For a constructor, the docstring of its class counts, too.
    """

    within: str
    node: Function
    text: str

    @property
    def name(self) -> str:
        return f"{self.within}.{self.node.name}" if self.within else self.node.name


@dataclass
class _Module:
    functions: dict[tuple[str, str], Function] = field(default_factory=dict)
    tuples: dict[str, list[str]] = field(default_factory=dict)
    public: list[PublicFunction] = field(default_factory=list)

    def gather(self, node: ast.AST, within: str = "", text: str = "", *, seen: bool = True) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                own = ast.get_docstring(child) or ""
                self.gather(child, child.name, own, seen=seen and not child.name.startswith("_"))
            elif isinstance(child, Function):
                self.functions[within, child.name] = child
                own = ast.get_docstring(child) or ""
                if child.name in CONSTRUCTORS:
                    own = f"{own}\n{text}"
                if seen and (not child.name.startswith("_") or child.name.endswith("__")):
                    self.public.append(PublicFunction(within, child, own))
            else:
                if isinstance(child, ast.Assign | ast.AnnAssign):
                    self._note(child)
                self.gather(child, within, text, seen=seen)

    def _note(self, node: ast.Assign | ast.AnnAssign) -> None:
        target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
        if isinstance(target, ast.Name) and isinstance(node.value, ast.Tuple):
            self.tuples[target.id] = [_last(one) for one in node.value.elts]

    def caught(self, handlers: Iterable[ast.ExceptHandler]) -> frozenset[str]:
        """The errors that the handlers catch and do not raise again."""
        return frozenset(
            error
            for handler in handlers
            if not any(_lets_on(node, handler.name) for node in ast.walk(handler))
            for name in _names(handler.type)
            for error in self.tuples.get(name, [name])
        )

    def named(self, within: str, called: ast.expr) -> tuple[str, Function] | None:
        """The function of this module that is called: by its name, or as a method of `self`."""
        match called:
            case ast.Name(id=name):
                place = ("", name)
            case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name):
                place = (within, name)
            case _:
                return None
        return (place[0], self.functions[place]) if place in self.functions else None


class RaisedErrors:
    """Reads modules, and finds docstrings that do not name the errors raised."""

    def __init__(self, trees: Mapping[Path, ast.Module]) -> None:
        self._bases: dict[str, set[str]] = {}
        self._imported: dict[str, str] = {}
        self._modules: dict[Path, _Module] = {}
        self._texts: dict[str, list[PublicFunction]] = {}
        for path, tree in trees.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    above = {_last(base) for base in node.bases}
                    self._bases.setdefault(node.name, set()).update(above)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    self._imported |= {name.asname or name.name: node.module for name in node.names}
            module = self._modules[path] = _Module()
            module.gather(tree)
            for function in module.public:
                self._texts.setdefault(function.node.name, []).append(function)

    def unsaid(self) -> Iterator[tuple[Path, str, str]]:
        """Module, function and error, for each error that a docstring does not name."""
        for path, module in self._modules.items():
            for function in module.public:
                reading = _Reading(module, function.within, function.node, self._above)
                for error in sorted({*reading.raised()} - NEVER - TOO_MUCH):
                    if not self._says(function.text, error):
                        yield path, function.name, error

    def _above(self, error: str) -> set[str]:
        """The error and all its base classes."""
        above, todo = set[str](), [error]
        while todo:
            name = todo.pop()
            if name in above:
                continue
            above.add(name)
            if name in self._bases:
                todo += self._bases[name]
                continue
            home = importlib.import_module(self._imported.get(name, "builtins"))
            known = getattr(home, name, None)
            if isinstance(known, type):
                above |= {base.__name__ for base in known.__mro__}
        return above

    def _says(self, text: str, error: str, seen: frozenset[str] = frozenset()) -> bool:
        """Whether the text, or one that it refers to, names the error or a base after "raises"."""
        raises = _RAISES.search(text)
        if raises is None:
            return False
        if {*re.findall(r"\w+", text[raises.end() :])} & (self._above(error) - TOO_MUCH):
            return True
        for place in {*_AS.findall(text), *_SAME.findall(text)} - seen:
            *within, name = place.split(".")
            for other in self._texts.get(name, []):
                is_meant = not within or other.within == within[-1]
                if is_meant and self._says(other.text, error, seen | {place}):
                    return True
        return False


@dataclass
class _Reading:
    """Reads one function. `through` has the functions whose calls led to it."""

    module: _Module
    within: str
    function: Function
    above: Callable[[str], set[str]]
    through: tuple[Function, ...] = ()

    def raised(self) -> Iterator[str]:
        return self._of(self.function.body, frozenset())

    def _of(self, nodes: Iterable[ast.AST], caught: frozenset[str]) -> Iterator[str]:
        for node in nodes:
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                    continue  # it is read where it is called
                case ast.Try():
                    yield from self._of(node.body, caught | self.module.caught(node.handlers))
                    yield from self._of([*node.handlers, *node.orelse, *node.finalbody], caught)
                    continue
                case ast.With() | ast.AsyncWith():
                    yield from self._of((item.context_expr for item in node.items), caught)
                    yield from self._of(node.body, caught | _suppressed(node))
                    continue
                case ast.Raise(exc=ast.expr() as raised):
                    yield from self._let_by(_errors_of(self.module, self.within, raised), caught)
                case ast.Call(func=called):
                    if _last(called) == "create_task":
                        continue
                    yield from self._let_by(self._by(called), caught)
            yield from self._of(ast.iter_child_nodes(node), caught)

    def _let_by(self, errors: Iterable[str], caught: frozenset[str]) -> Iterator[str]:
        return (error for error in errors if not self.above(error) & caught)

    def _by(self, called: ast.expr) -> Iterator[str]:
        """The errors of a call, if it calls a function inside this one or a private one."""
        within, function = self._called(called) or ("", None)
        if function is not None and function not in (self.function, *self.through):
            through = (*self.through, self.function)
            yield from _Reading(self.module, within, function, self.above, through).raised()

    def _called(self, called: ast.expr) -> tuple[str, Function] | None:
        if isinstance(called, ast.Name):
            for outer in (self.function, *self.through):
                if called.id in (inside := _inside(outer)):
                    return self.within, inside[called.id]
        found = self.module.named(self.within, called)
        return found if found and found[1].name.startswith("_") else None


@cache
def _inside(function: Function) -> Mapping[str, Function]:
    """The functions that are defined inside a function."""
    todo, found = [function.body], dict[str, Function]()
    while todo:
        for node in todo.pop():
            if isinstance(node, Function):
                found[node.name] = node
            todo += [getattr(node, part, []) for part in _BLOCKS]
    return found


def _last(name: ast.expr) -> str:
    return ast.unparse(name).split("[")[0].split(".")[-1]


def _lets_on(node: ast.AST, name: str | None) -> bool:
    match node:
        case ast.Raise(exc=None):
            return True
        case ast.Raise(exc=ast.Name(id=raised)):
            return raised == name
    return False


def _names(caught: ast.expr | None) -> list[str]:
    match caught:
        case None:
            return ["BaseException"]
        case ast.Tuple(elts=several):
            return [_last(one) for one in several]
    return [_last(caught)]


def _suppressed(node: ast.With | ast.AsyncWith) -> frozenset[str]:
    return frozenset(
        _last(error)
        for item in node.items
        if isinstance(item.context_expr, ast.Call) and _last(item.context_expr.func) == "suppress"
        for error in item.context_expr.args
    )


def _errors_of(module: _Module, within: str, raised: ast.expr) -> Iterator[str]:
    """The errors of a `raise`: a class, one of two, or a function's result; not a variable's."""
    if isinstance(raised, ast.IfExp):
        yield from _errors_of(module, within, raised.body)
        yield from _errors_of(module, within, raised.orelse)
        return
    called = raised.func if isinstance(raised, ast.Call) else raised
    made = module.named(within, called)
    if made and made[1].returns is not None:
        yield from re.findall(r"\w+", ast.unparse(made[1].returns))
    elif _last(called)[:1].isupper():
        yield _last(called)
