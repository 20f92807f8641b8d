"""The reading of what functions raise, on small modules."""

from __future__ import annotations

import ast
from pathlib import Path
from textwrap import dedent, indent

import pytest

from tests.unit.raised_errors import RaisedErrors

HELPERS = '''
class OrderError(ValueError):
    pass

class LateError(OrderError):
    pass

MANY = (LateError, KeyError)

def _refuse():
    raise LateError("late")

def _wrong(reason) -> LateError:
    return LateError(reason)

def said():
    """One that says it.

    Raises:
        OrderError: always.
    """
    raise LateError("late")
'''


def unsaid_of(source: str) -> list[tuple[str, str]]:
    tree = ast.parse(HELPERS + dedent(source))
    return [(name, error) for _, name, error in RaisedErrors({Path("m.py"): tree}).unsaid()]


def public(body: str, text: str = "") -> str:
    return f'def f(a):\n    """{text or "Does it."}"""\n' + indent(dedent(body), "    ")


@pytest.mark.parametrize(
    "body",
    [
        "raise LateError('x')",
        "raise LateError",
        "raise LateError('x') if a else LateError('y')",
        "raise _wrong('x')",
        "_refuse()",
        "return [_refuse() for _ in a]",
        "try:\n    raise LateError('x')\nexcept KeyError:\n    pass",
        "try:\n    raise LateError('x')\nexcept LateError:\n    raise",
        "try:\n    raise LateError('x')\nexcept OrderError as error:\n    raise error",
        "try:\n    pass\nexcept LateError:\n    raise LateError('y')",
        "try:\n    pass\nfinally:\n    _refuse()",
        "with suppress(KeyError):\n    _refuse()",
        "def inner():\n    raise LateError('x')\nreturn inner()",
        "def inner():\n    _refuse()\ndef outer():\n    return inner()\nreturn outer()",
    ],
)
def test_what_is_raised_is_found(body: str) -> None:
    assert unsaid_of(public(body)) == [("f", "LateError")]


@pytest.mark.parametrize(
    "body",
    [
        "try:\n    raise LateError('x')\nexcept OrderError:\n    pass",
        "try:\n    _refuse()\nexcept (KeyError, ValueError):\n    pass",
        "try:\n    _refuse()\nexcept MANY:\n    pass",
        "try:\n    _refuse()\nexcept:\n    pass",
        "with suppress(ValueError):\n    _refuse()",
        "def inner():\n    raise LateError('x')\nreturn inner",
        "create_task(_refuse())",
        "said()",
        "raise AssertionError('never')",
    ],
)
def test_what_is_caught_or_another_function_says_is_not(body: str) -> None:
    assert unsaid_of(public(body)) == []


@pytest.mark.parametrize(
    "text",
    [
        "Does it. Raises LateError.",
        "Does it.\n\n    Raises:\n        OrderError: it is late.\n    ",
        "Does it.\n\n    Raises:\n        ValueError: it is late.\n    ",
        "Does it; raises as `said`.",
        "Does it; takes the same as `said`, and\n    raises as it does.",
    ],
)
def test_a_docstring_that_says_it_is_enough(text: str) -> None:
    assert unsaid_of(public("_refuse()", text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "Tells of a LateError.",
        "Does it. Raises KeyError.",
        "Does it. Raises Exception.",
        "Does it. Raises VeryLateError.",
        "Does it; raises as `f`.",
        "Does it; raises as `nobody`.",
    ],
)
def test_a_docstring_that_says_something_else_is_not(text: str) -> None:
    assert unsaid_of(public("_refuse()", text)) == [("f", "LateError")]


def test_methods_and_constructors_are_read_with_their_own_helpers() -> None:
    assert unsaid_of('''
        class Order:
            """One."""
            def __init__(self):
                self._check()
            def _check(self):
                raise LateError("x")
            def pay(self):
                self._check()
        class Paid:
            """One. Raises OrderError."""
            def __post_init__(self):
                _refuse()
        class _Private:
            def pay(self):
                raise LateError("x")
    ''') == [("Order.__init__", "LateError"), ("Order.pay", "LateError")]


def test_errors_of_libraries_are_known_by_what_they_are() -> None:
    source = public("raise DecodeError('x')", "Does it. Raises MsgspecError.")
    assert unsaid_of("from msgspec import DecodeError\n" + source) == []
