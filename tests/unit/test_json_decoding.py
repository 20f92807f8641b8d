"""JSON is decoded in one place, which has one error for all malformed input, however deep.

msgspec raises a RecursionError for JSON that is nested too deep, also where it only skips a field
that nobody knows. Each decoder that is called directly is a place that answers 500 to that.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from client_sdk.contract.json_decoding import decode, decode_any, reader
from tests.unit.product_modules import parsed

ONE_PLACE = Path("client_sdk/contract/json_decoding.py")
WITH_A_SIGNATURE = "jwt.decode"
"""It reads a token, whose callers have errors of their own (tests/unit/core_api/test_tokens.py)."""
DEEP = b'{"unknown":' + b"[" * 15_000 + b"]" * 15_000 + b"}"


class Known(msgspec.Struct):
    """Takes fields that it does not know, as the bodies of Core's API do."""

    name: str = ""


def decoding(tree: ast.AST) -> Iterator[ast.expr]:
    """Each use of a method that decodes anything but text.

    What is called `decode` decodes text if it is called with nothing, or with the name of an
    encoding: a decoder's takes data. All other uses count, also those that only hand it on.
    """
    text = {
        id(call.func)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and not call.keywords
        and all(isinstance(one, ast.Constant) and isinstance(one.value, str) for one in call.args)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            is_json = ast.unparse(node.value) == "json" and node.attr in ("load", "loads")
            if is_json or (node.attr in ("decode", "decode_lines") and id(node) not in text):
                yield node
        elif isinstance(node, ast.ImportFrom) and node.module in ("json", "msgspec.json"):
            names = {one.name for one in node.names}
            if names & {"decode", "Decoder", "load", "loads", "JSONDecoder"}:
                yield ast.Name(f"from {node.module} import {', '.join(sorted(names))}")


def test_all_json_is_decoded_in_the_one_place() -> None:
    found = [
        f"{path}: {text}"
        for path, tree in parsed().items()
        if path.parts[0] != "deploy" and path != ONE_PLACE
        for text in map(ast.unparse, decoding(tree))
        if text != WITH_A_SIGNATURE
    ]
    assert ONE_PLACE in parsed()
    assert found == []


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("body.decode()", 0),
        ('body.decode("utf-8", "replace")', 0),
        ("_poll.decode(body)", 1),
        ("self._decoder.decode(b'x')", 1),
        ("msgspec.json.decode(body, type=Poll)", 1),
        ("read = _poll.decode", 1),
        ("map(_poll.decode, bodies)", 1),
        ("json.loads(body)", 1),
        ("from msgspec.json import Decoder", 1),
        ("from json import loads", 1),
    ],
)
def test_a_decoder_is_known_by_what_it_is_given(source: str, count: int) -> None:
    assert len(list(decoding(ast.parse(source)))) == count


@pytest.mark.parametrize("data", [DEEP, b"[" * 15_000, b"\xff", b"{", b""])
def test_malformed_json_has_one_error(data: bytes) -> None:
    readers: list[Any] = [
        reader(Known),
        decode_any,
        lambda given: decode(msgspec.json.Decoder(Known), given),
    ]
    for read in readers:
        with pytest.raises(msgspec.DecodeError):
            read(data)


def test_a_value_of_any_type_is_read() -> None:
    assert decode_any(b'{"a":[1,null]}') == {"a": [1, None]}
