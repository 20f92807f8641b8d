"""The text of an event, as the log keeps it and every path forwards it unchanged. Pure."""

from __future__ import annotations

from typing import Final

from client_sdk.contract.channel import event_id

# In UTF-8 no character's bytes occur inside another's, and JSON has these only in strings.
_LINE_ENDS: Final = (
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
    (b"\xc2\x85", b"\\u0085"),
)


def one_line(text: bytes) -> bytes:
    """The same JSON without U+2028, U+2029 and U+0085, which some readers take for line ends."""
    if text.isascii():  # most texts are ASCII, and that check is far cheaper than the searches
        return text
    for raw, escaped in _LINE_ENDS:
        if raw in text:
            text = text.replace(raw, escaped)
    return text


def event_json(channel: str, seq: int, body: str) -> str:
    """The whole event of a log row; the relay's statement builds the same text in SQL.

    Args:
        channel: the channel's name.
        seq: the event's place in the channel.
        body: the JSON of the event after its `seq`, with the closing brace, as the log has it.
    """
    return f'{{"id":"{event_id(channel, seq)}","seq":{seq},{body}'
