"""What Star printers say over MQTT, between the gateway and Core."""

from __future__ import annotations

import pytest
from msgspec import Raw

from server_common.devices.messages import Inbound, decode_inbound, encode
from server_common.devices.star import (
    StarAction,
    StarResult,
    StarSaid,
    StarStatus,
    StarWill,
    decode_said,
    star_payload_of,
)
from server_common.errors import DeviceMessageError

MAC = "00:11:62:1d:9a:b7"


def test_the_words_of_devices_and_of_star_printers_share_a_topic() -> None:
    star = StarSaid(MAC, "client-status", 5, Raw(b"{}"))
    bell = Inbound("12", "bell", "event", 5, Raw(b"{}"))
    assert decode_said(encode(star)) == star
    assert decode_said(encode(bell)) == bell


def test_an_earlier_core_reads_no_word_of_a_star_printer_as_another_devices() -> None:
    with pytest.raises(DeviceMessageError):
        decode_inbound(encode(StarSaid(MAC, "client-status", 5, Raw(b"{}"))))


@pytest.mark.parametrize("value", [None, b"{", b"[]", b'{"mac": "kitchen"}'])
def test_what_is_neither_is_refused(value: bytes | None) -> None:
    with pytest.raises(DeviceMessageError):
        decode_said(value)


def test_a_status_may_answer_a_question() -> None:
    payload = (
        b'{"title": "client-status", "printerMAC": "00:11:62:1d:9a:b7", "statusCode": "200%20OK",'
        b' "clientAction": [{"request": "Encodings", "result": "image/png; text/plain"}]}'
    )
    assert star_payload_of("client-status", payload) == StarStatus(
        "200%20OK", None, [StarAction("Encodings", "image/png; text/plain")]
    )


@pytest.mark.parametrize("payload", [b"{}", b'{"statusCode": null, "jobToken": null}'])
def test_fields_may_be_missing(payload: bytes) -> None:
    assert star_payload_of("client-status", payload) == StarStatus()
    assert star_payload_of("print-result", payload) == StarResult()
    assert star_payload_of("client-will", payload) == StarWill()
