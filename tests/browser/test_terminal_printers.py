"""Printers on the terminal: what each prints, their faults, and jobs that wait for a person."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from playwright.async_api import Browser, Locator, Page, expect

from tests.browser.restaurant import PAGES, Store, device, opened, shot

pytestmark = PAGES

PRINTER = "kitchen-1"


async def ask(store: Store, path: str, body: dict[str, Any], method: str = "POST") -> Any:
    owner = {"authorization": f"Bearer {store.owner}"}
    url = f"/v1/stores/{store.id}/devices/{PRINTER}{path}"
    async with httpx.AsyncClient(base_url=store.site.stack.core_url, headers=owner) as client:
        answer = await client.request(method, url, json=body)
        answer.raise_for_status()
    return answer


async def prints(store: Store, **settings: Any) -> None:
    """Let the printer print new orders."""
    routing = {"printers": {PRINTER: {"statuses": ["placed"], "language": "en"} | settings}}
    await store.write(f"team:{store.id}", "printing", {"set": routing})


async def sheet_of(page: Page) -> Locator:
    await page.locator("#open-kitchen").click()
    await page.locator("#open-printers").click()
    return page.locator("#printers")


async def known_terminal(context: Any, store: Store) -> Page:
    """A terminal that knew of the printers when it was opened."""
    terminal = await opened(context, store.terminal_url)
    await terminal.wait_for_function(
        "key => localStorage.getItem(key) !== null", arg=f"yabam.printers.{store.id}"
    )
    await terminal.reload()
    await expect(terminal.locator("#lamp")).to_have_attribute("data-mode", "live")
    return terminal


async def test_an_owner_says_what_prints_where(store: Store, browser: Browser) -> None:
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        sheet = await sheet_of(terminal)
        await sheet.get_by_label("The device's name, such as kitchen-1").fill("bar")
        await sheet.get_by_role("button", name="Add a printer").click()
        printer = sheet.locator(".printer[data-printer=bar]")
        await printer.get_by_label("Ready", exact=True).check()
        await printer.get_by_label("Copies").select_option("2")
        await printer.get_by_label("Language of tickets").select_option("en")
        await sheet.get_by_label("The station's name, such as grill").fill("drinks")
        await sheet.get_by_role("button", name="Add a station").click()
        await sheet.get_by_label("Dishes of drinks, one a line").fill("Beer\nCola\n")
        await sheet.get_by_label("Dishes of drinks, one a line").blur()
        await printer.get_by_label("drinks", exact=True).check()
        await expect(printer.get_by_label("all dishes")).not_to_be_checked()
        await shot(terminal, "terminal-printers")
        wanted = {
            "printers": {
                "bar": {
                    "statuses": ["accepted", "ready"],
                    "copies": 2,
                    "language": "en",
                    "stations": ["drinks"],
                }
            },
            "stations": {"drinks": ["Beer", "Cola"]},
        }
        async with asyncio.timeout(30):
            while (await store.document(f"team:{store.id}", "printing"))["value"] != wanted:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await printer.get_by_role("button", name="Remove this printer").click()
        await expect(printer).to_have_count(0)


async def test_a_name_that_no_device_can_have_is_not_taken(store: Store, browser: Browser) -> None:
    async with device(browser) as owner:
        sheet = await sheet_of(await opened(owner, store.terminal_url))
        await sheet.get_by_label("The device's name, such as kitchen-1").fill("부엌 1")
        await sheet.get_by_role("button", name="Add a printer").click()
        await expect(sheet.get_by_role("alert").first).to_contain_text("Only letters")
        await expect(sheet.locator(".printer")).to_have_count(0)


async def test_what_troubles_a_printer_is_on_the_screen_at_once(
    store: Store, browser: Browser
) -> None:
    await prints(store)
    async with device(browser) as owner:
        terminal = await known_terminal(owner, store)
        strip = terminal.locator("#printers-care")
        await ask(store, "/printer", {"agent": "a", "troubles": []})
        await expect(strip).to_be_hidden()
        await ask(store, "/printer", {"agent": "a", "troubles": ["paper end"]})
        await expect(strip).to_contain_text("kitchen-1 (paper end)")
        await strip.get_by_role("button", name="Show").click()
        printer = terminal.locator(".printer")
        await expect(printer).to_have_attribute("data-state", "online")
        await ask(store, "/printer", {"agent": "a", "troubles": []})
        await expect(strip).to_be_hidden()


async def test_a_ticket_that_waits_for_a_person_is_printed_again_or_dropped(
    store: Store, browser: Browser
) -> None:
    await prints(store)
    async with device(browser) as owner:
        terminal = await known_terminal(owner, store)
        order = await store.place()
        sheet = await sheet_of(terminal)
        waiting = sheet.locator(f"[data-ticket^='{order['id']}-1-1-']")
        await expect(waiting).to_have_attribute("data-state", "queued")
        ticket = await waiting.get_attribute("data-ticket")
        await ask(store, "/printer", {"agent": "a", "troubles": []})
        await ask(store, f"/prints/{ticket}", {"step": "take", "agent": "a"})
        failed = {"step": "fail", "agent": "a", "attempt": 1, "detail": "no such letters"}
        await ask(store, f"/prints/{ticket}", failed)
        await expect(waiting).to_contain_text("waits for you")
        await expect(terminal.locator("#printers-care")).to_contain_text(PRINTER)
        await shot(terminal, "terminal-printers-waiting")
        await waiting.get_by_role("button", name="Print again").click()
        await expect(waiting).to_have_attribute("data-state", "queued")
        await waiting.get_by_role("button", name="Do not print").click()
        await expect(waiting).to_have_count(0)
        await expect(terminal.locator("#printers-care")).to_be_hidden()


async def test_a_printer_that_is_new_says_that_a_reload_shows_it(
    store: Store, browser: Browser
) -> None:
    await prints(store)
    async with device(browser) as owner:
        terminal = await opened(owner, store.terminal_url)
        sheet = await sheet_of(terminal)
        await expect(sheet.locator(".printer")).to_have_attribute("data-state", "new")
        await sheet.get_by_role("button", name="Reload").click()
        await expect(terminal.locator("#lamp")).to_have_attribute("data-mode", "live")
        await ask(store, "/printer", {"agent": "a", "troubles": []})
        sheet = await sheet_of(terminal)
        await expect(sheet.locator(".printer")).to_have_attribute("data-state", "online")


async def test_what_a_device_was_asked_to_do_is_shown(store: Store, browser: Browser) -> None:
    await ask(store, "", {}, "PUT")
    await ask(store, "/commands", {"name": "blink", "expires_in_s": 60})
    async with device(browser) as owner:
        sheet = await sheet_of(await opened(owner, store.terminal_url))
        shown = sheet.locator(f"[data-device={PRINTER}]")
        await shown.locator("summary").click()
        await expect(shown.locator("li")).to_contain_text("blink")
        await expect(shown.locator("li")).to_have_attribute("data-state", "sent")
