"""A Star printer as it is sold, against a real Core: polls, repeats, troubles, strangers."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from PIL import Image

from tests.integration.core_service import CoreService, an_order, bearer, new_store, token
from tests.star_printer import MAC, StarPrinter

DEVICE = "kitchen-1"


@dataclass
class Kitchen:
    """A store whose placed orders print on one Star printer."""

    core: CoreService
    http: httpx.AsyncClient
    store: str
    user: str
    password: str

    def printer(self, secret: str | None = None) -> StarPrinter:
        named = secret or f"{self.user}.{self.password}"
        return StarPrinter(f"{self.core.stack.core_url}/cloudprnt/{named}/printer", self.http)

    @property
    def owner(self) -> dict[str, str]:
        return bearer(token("owner", self.store))

    async def order(self) -> str:
        response = await self.http.post(
            f"{self.core.stack.core_url}/v1/orders", json=an_order(self.store), headers=self.owner
        )
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    async def document(self, key: str) -> dict[str, object]:
        response = await self.http.get(
            f"{self.core.stack.core_url}/v1/documents",
            params={"channel": f"device:{self.store}/{DEVICE}", "key": key},
            headers=self.owner,
        )
        assert response.status_code == 200, response.text
        value: dict[str, object] = response.json()["value"]
        return value

    async def a_job(self, printer: StarPrinter) -> dict[str, object]:
        """Poll until there is something to print; the answer."""
        while not (answer := await printer.poll())["jobReady"]:
            pass
        return answer


@pytest.fixture
async def kitchen(core_process: CoreService) -> AsyncIterator[Kitchen]:
    core, store = core_process, new_store()
    async with httpx.AsyncClient(timeout=30) as http:
        owner = bearer(token("owner", store))
        registered = await http.put(
            f"{core.stack.core_url}/v1/stores/{store}/devices/{DEVICE}", json={}, headers=owner
        )
        assert registered.status_code == 201, registered.text
        routing = {"printers": {DEVICE: {"statuses": ["placed"]}}}
        edit = {"n": 1, "channel": f"team:{store}", "key": "printing", "do": {"set": routing}}
        edited = await http.post(
            f"{core.stack.core_url}/v1/edits",
            json={"client": f"c-{store}", "edits": [edit]},
            headers=owner,
        )
        assert edited.json()["outcomes"][0]["outcome"] == "applied", edited.text
        body = registered.json()
        yield Kitchen(core, http, store, body["user"], body["password"])


async def test_an_order_comes_out_of_the_printer_once(kitchen: Kitchen) -> None:
    printer = kitchen.printer()
    assert (await printer.poll()) == {"jobReady": False}
    await kitchen.order()
    while not await printer.cycle():
        pass
    assert not await printer.cycle()
    ((media, body),) = printer.papers
    assert media == "image/png"
    assert Image.open(io.BytesIO(body)).size[0] == 42 * 12


async def test_text_and_markup_are_given_to_who_asks_for_them(kitchen: Kitchen) -> None:
    printer = kitchen.printer()
    await kitchen.order()
    answer = await kitchen.a_job(printer)
    assert answer["mediaTypes"] == ["image/png", "text/vnd.star.markup", "text/plain"]
    text = await printer.fetch(answer, "text/plain")
    assert "김밥" in text.content.decode()
    markup = await printer.fetch(answer, "text/vnd.star.markup")
    assert "[cut: feed; partial]" in markup.text


async def test_another_media_type_is_415_and_takes_nothing(kitchen: Kitchen) -> None:
    printer = kitchen.printer()
    await kitchen.order()
    answer = await kitchen.a_job(printer)
    assert (await printer.fetch(answer, "application/pdf")).status_code == 415
    assert (await printer.poll())["jobToken"] == answer["jobToken"]


async def test_the_same_get_again_gives_the_same_job(kitchen: Kitchen) -> None:
    printer = kitchen.printer()
    await kitchen.order()
    answer = await kitchen.a_job(printer)
    first, second = await printer.fetch(answer), await printer.fetch(answer)
    assert first.status_code == 200
    assert first.content == second.content


async def test_while_a_job_prints_nothing_else_is_offered(kitchen: Kitchen) -> None:
    printer = kitchen.printer()
    await kitchen.order()
    await kitchen.order()
    await printer.fetch(await kitchen.a_job(printer))
    printer.printing = True
    assert (await printer.poll()) == {"jobReady": False}
    printer.printing = False
    await printer.confirm()
    assert (await kitchen.a_job(printer))["jobReady"]


async def test_a_confirmation_that_comes_twice_does_no_harm(kitchen: Kitchen) -> None:
    printer = kitchen.printer()
    await kitchen.order()
    await printer.fetch(await kitchen.a_job(printer))
    assert (await printer.confirm()).status_code == 200
    await kitchen.order()
    second = await kitchen.a_job(printer)
    assert (await printer.confirm()).status_code == 200
    assert (await printer.poll())["jobToken"] == second["jobToken"]


async def test_a_cover_that_is_opened_in_the_middle_prints_it_again_as_a_repeat(
    kitchen: Kitchen,
) -> None:
    printer = kitchen.printer()
    printer.supports = ("text/plain",)
    await kitchen.order()
    first = await kitchen.a_job(printer)
    assert "REPEAT" not in (await printer.fetch(first)).content.decode()
    printer.code = "420 Cover open"
    assert (await printer.poll()) == {"jobReady": False}
    assert (await kitchen.document("status"))["troubles"] == ["cover open"]
    printer.code = "200 OK"
    again = await kitchen.a_job(printer)
    assert again["jobToken"] != first["jobToken"]
    assert "REPEAT" in (await printer.fetch(again)).content.decode()
    assert (await kitchen.document("status"))["troubles"] == []


async def test_paper_that_ended_in_the_middle_is_confirmed_as_such(kitchen: Kitchen) -> None:
    printer = kitchen.printer()
    printer.supports = ("text/plain",)
    await kitchen.order()
    await printer.fetch(await kitchen.a_job(printer))
    await printer.confirm("410 Out of paper")
    assert "REPEAT" in (await printer.fetch(await kitchen.a_job(printer))).content.decode()


async def test_what_the_printer_cannot_read_waits_for_a_person(kitchen: Kitchen) -> None:
    printer = kitchen.printer()
    await kitchen.order()
    answer = await kitchen.a_job(printer)
    await printer.fetch(answer)
    await printer.confirm("511 Media decoding error")
    assert (await printer.poll()) == {"jobReady": False}
    job = await kitchen.document(f"print.{str(answer['jobToken']).removesuffix('.1')}")
    assert (job["state"], job["waits"]) == ("failed", True)


async def test_a_printer_of_older_firmware_prints_without_tokens(kitchen: Kitchen) -> None:
    printer = kitchen.printer()
    printer.sends_token = False
    await kitchen.order()
    while not await printer.cycle():
        pass
    assert len(printer.papers) == 1
    assert not await printer.cycle()


async def test_a_printer_may_sign_in_by_basic_authentication(kitchen: Kitchen) -> None:
    printer = kitchen.printer("shared")
    printer.basic = (kitchen.user, kitchen.password)
    await kitchen.order()
    while not await printer.cycle():
        pass
    assert len(printer.papers) == 1


async def test_it_says_which_version_of_the_protocol_it_speaks(kitchen: Kitchen) -> None:
    answer = (await kitchen.printer().setting()).json()
    assert answer == {
        "title": "star_cloudprnt_server_setting",
        "version": "1.0.0",
        "serverSupportProtocol": ["HTTP"],
    }


@pytest.mark.parametrize("secret", ["wrong", "a~b~1.x", "{user}.wrong", "{other}.{password}"])
async def test_who_knows_the_mac_but_not_the_secret_gets_nothing(
    kitchen: Kitchen, secret: str
) -> None:
    await kitchen.order()
    other = kitchen.user.replace(DEVICE, "bar")
    stranger = kitchen.printer(
        secret.format(user=kitchen.user, other=other, password=kitchen.password)
    )
    url, http = stranger.url, kitchen.http
    answers = [
        await http.post(url, json={"statusCode": "200", "printerMAC": MAC}),
        await http.get(url, params={"mac": MAC}),
        await http.delete(url, params={"mac": MAC, "code": "200"}),
        await stranger.setting(),
    ]
    assert {one.status_code for one in answers} == {401}


async def test_a_rotated_password_shuts_the_old_one_out(kitchen: Kitchen) -> None:
    rotated = await kitchen.http.put(
        f"{kitchen.core.stack.core_url}/v1/stores/{kitchen.store}/devices/{DEVICE}",
        json={"rotate": True},
        headers=kitchen.owner,
    )
    assert rotated.status_code == 200
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        await kitchen.printer().poll()


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"statusCode":7}', b"{" * 20_000])
async def test_a_poll_that_is_none_is_refused(kitchen: Kitchen, body: bytes) -> None:
    response = await kitchen.http.post(
        kitchen.printer().url, content=body, headers={"content-type": "application/json"}
    )
    assert response.status_code in (400, 413)
