"""The terminal's pure rules, in a browser without a system: presses, changes, alarm, lanes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, cast

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

import core_api.pages
from client_sdk.contract.order import STATUSES, OrderStatus
from core_api.orders.lifecycle import BACK
from tests.browser.module_page import MODULE, served

pytestmark = [pytest.mark.asyncio(loop_scope="package"), pytest.mark.xdist_group("shared-state")]

STATIC: Final = Path(core_api.pages.__file__).parent / "static"
RULES: Final = """
    const load = (name) => import(`/static/terminal/${name}.js`);
    const { Stillness } = await load("board/stillness");
    const { Seen, linesOf } = await load("board/changes");
    const { share } = await load("board/layout");
    const { foldedItems, isLong } = await load("board/folding");
    const { Alarm } = await load("alarm/when_it_sounds");
    const { Bumped } = await load("kitchen/bumped");
    const { allDay, matches } = await load("kitchen/totals");
    const { idOf } = await load("kitchen/names");
    const { sameName } = await import("/static/shared/names.js");
    const { Station } = await load("kitchen/station");
    const { urgency } = await load("board/steps");
    const { StoreLog } = await load("history/log");
    const { behind, isToBeMade, isUnderWay } = await import("/static/shared/statuses.js");
    const { certainMode } = await import("/static/shared/lamp.js");
    const { Ledger } = await import("/static/shared/ledger.js");
    const { Actions } = await import("/static/shared/actions.js");
    const item = (name, quantity = 1, note = "") => ({ name, quantity, note, unit_price: 1000 });
    const order = (status, items, more = {}) => ({
        id: "o1", status, version: 1, items, note: "", table_id: "5", reference: null, ...more,
    });
"""


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def page(browser: Browser) -> AsyncIterator[Page]:
    with served({"/static/yabam/": MODULE, "/static/": STATIC}) as url:
        async with await browser.new_context() as device:
            opened = await device.new_page()
            await opened.goto(url)
            yield opened


async def run(page: Page, script: str) -> Any:
    """What the script returns, with the rules at hand."""
    return await page.evaluate(f"async () => {{ {RULES} {script} }}")


# ── presses ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("apart", [0, 120, 250, 400, 599])
async def test_the_same_place_acts_once_within_600_ms(page: Page, apart: int) -> None:
    found = await run(
        page,
        f"""const still = new Stillness();
        const press = (at, x, y, id) => still.press({{ at, place: {{ x, y }}, id }});
        return [press(0, 100, 100, "a"), press({apart}, 110, 95, "b"), press({apart} + 600,
            100, 100, "b")];""",
    )
    assert found == [True, False, True]


async def test_another_place_acts_at_once_and_the_same_order_does_not(page: Page) -> None:
    found = await run(
        page,
        """const still = new Stillness();
        const press = (at, x, id) => still.press({ at, place: { x, y: 0 }, id });
        return [press(0, 0, "a"), press(100, 300, "b"), press(200, 600, "a"), press(300, 0,
            "c")];""",
    )
    assert found == [True, True, False, False]


async def test_a_burst_of_taps_is_one_press_however_long_it_lasts(page: Page) -> None:
    found = await run(
        page,
        """const still = new Stillness();
        const place = { x: 5, y: 5 };
        return Array.from({ length: 20 }, (_, n) => still.press({ at: n * 300, place,
            id: `o${n}` }))
            .filter(Boolean).length;""",
    )
    assert found == 1


async def test_what_has_only_just_moved_is_not_pressed(page: Page) -> None:
    found = await run(
        page,
        """const still = new Stillness();
        const press = (at, movedAt, x) => still.press({ at, place: { x, y: 0 }, id: `${x}`,
            movedAt });
        return [press(1000, 900, 0), press(2000, 1601, 100), press(3000, 2600, 200)];""",
    )
    assert found == [False, False, True]


async def test_a_key_that_is_pressed_twice_acts_once_on_an_order(page: Page) -> None:
    found = await run(
        page,
        """const still = new Stillness();
        return [still.press({ at: 0, id: "a" }), still.press({ at: 250, id: "a" }),
            still.press({ at: 300, id: "b" })];""",
    )
    assert found == [True, False, True]


async def test_nothing_moves_while_a_finger_is_down_and_for_600_ms_after_it(page: Page) -> None:
    found = await run(
        page,
        """const still = new Stillness();
        still.down(1000);
        const whileDown = still.freeAt;
        still.up(1300);
        return [whileDown, still.freeAt];""",
    )
    # A finger that never leaves does not hold it for ever.
    assert found == [11000, 1900]


# ── changes ──────────────────────────────────────────────────────────────────────────────────────


async def test_the_lines_that_changed_are_told_with_what_they_were(page: Page) -> None:
    found = await run(
        page,
        """return linesOf(
            [item("Bulgogi", 2), item("Rice"), item("Tea")],
            [item("Bulgogi", 5, "PEANUT ALLERGY"), item("Rice"), item("Japchae")],
        ).map(({ kind, item, was }) => [kind, item?.name ?? null, was?.quantity ?? null]);""",
    )
    assert found == [
        ["changed", "Bulgogi", 2],
        ["same", "Rice", 1],
        ["added", "Japchae", None],
        ["removed", None, 1],
    ]


async def test_two_lines_of_one_dish_are_told_apart_by_their_notes(page: Page) -> None:
    found = await run(
        page,
        """return linesOf(
            [item("Tea", 1, "hot"), item("Tea", 1, "cold")], [item("Tea", 2, "cold"),
                item("Tea", 1, "hot")],
        ).map(({ kind, was }) => [kind, was.note]);""",
    )
    assert found == [["changed", "cold"], ["same", "hot"]]


async def test_a_change_is_marked_once_the_order_is_made_and_until_it_is_seen(page: Page) -> None:
    found = await run(
        page,
        """const seen = new Seen();
        const kindOf = (one) => { seen.take([one]); return seen.of(one)?.kind ?? null; };
        const told = [
            kindOf(order("placed", [item("a")])),
            kindOf(order("placed", [item("a", 2)])),
            kindOf(order("accepted", [item("a", 2)])),
            kindOf(order("accepted", [item("a", 3)])),
            kindOf(order("preparing", [item("a", 3)])),
        ];
        const again = new Seen(JSON.parse(JSON.stringify(seen.kept)));
        told.push(again.of(order("preparing", [item("a", 3)]))?.kind ?? null);
        seen.acknowledge(order("preparing", [item("a", 3)]));
        told.push(kindOf(order("preparing", [item("a", 3)])));
        told.push(kindOf(order("preparing", [item("a", 3)], { note: "no egg" })));
        return told;""",
    )
    assert found == [None, None, None, "changed", "changed", "changed", None, "changed"]


@pytest.mark.parametrize(
    ("before", "kind"),
    [
        ("placed", None),
        ("accepted", "cancelled"),
        ("preparing", "cancelled"),
        ("ready", "cancelled"),
    ],
)
async def test_a_cancellation_is_marked_if_the_order_was_being_made(
    page: Page, before: str, kind: str | None
) -> None:
    found = await run(
        page,
        f"""const seen = new Seen();
        seen.take([order("{before}", [item("a")])]);
        seen.take([order("cancelled", [item("a")])]);
        const marks = seen.of(order("cancelled", [item("a")]));
        seen.acknowledge(order("cancelled", [item("a")]));
        return [marks?.kind ?? null, marks?.status ?? null, seen.of(order("cancelled",
            [item("a")])), seen.startedOf("o1")];""",
    )
    started = before if kind else None
    assert found == [kind, started, None, started]


async def test_who_cancels_an_order_is_not_told_of_it(page: Page) -> None:
    found = await run(
        page,
        """const seen = new Seen();
        seen.take([order("preparing", [item("a")])]);
        seen.take([order("cancelled", [item("a")])], () => true);
        return seen.of(order("cancelled", [item("a")]));""",
    )
    assert found is None


async def test_what_is_gone_is_forgotten(page: Page) -> None:
    found = await run(
        page,
        """const seen = new Seen();
        seen.take([order("accepted", [item("a")])]);
        seen.take([]);
        return seen.kept;""",
    )
    assert found == []


# ── the alarm ────────────────────────────────────────────────────────────────────────────────────

ALARM: Final = """
    const alarm = new Alarm();
    const none = { new: false, changed: false, cancelled: false, offline: false, session: false };
    const sounds = (from, to, waitingAt) => {
        const heard = [];
        for (let at = from; at < to; at += 500) {
            const kind = alarm.next({ ...none, ...waitingAt(at) }, at);
            if (kind !== null) heard.push([kind, at]);
        }
        return heard;
    };
"""


async def test_it_rings_on_until_somebody_touches_the_order(page: Page) -> None:
    found = await run(
        page,
        ALARM
        + """const waiting = (at) => ({ new: alarm.untouched(["a"], at).length > 0 });
        const before = sounds(0, 30_000, waiting).length;
        alarm.touch("a", 30_000);
        return [before, sounds(30_000, 80_000, waiting).length, sounds(80_000, 96_000,
            waiting).length];""",
    )
    # Every five seconds; and again where it was touched and left for a minute.
    assert found == [6, 0, 2]


async def test_a_hundred_orders_that_come_together_are_one_sound(page: Page) -> None:
    found = await run(
        page,
        ALARM
        + """const ids = (at) => Array.from({ length: Math.min(100, at / 40) }, (_,
            n) => `o${n}`);
        return sounds(0, 4_900, (at) => ({ new: alarm.untouched(ids(at),
            at).length > 0 })).length;""",
    )
    assert found == 1


async def test_a_new_order_after_all_were_touched_is_heard_at_once(page: Page) -> None:
    found = await run(
        page,
        ALARM
        + """alarm.touch("a", 0);
        const waiting = (ids) => (at) => ({ new: alarm.untouched(ids, at).length > 0 });
        return [sounds(0, 4_000, waiting(["a"])), sounds(4_000, 5_000, waiting(["a", "b"]))];""",
    )
    assert found == [[], [["new", 4000]]]


async def test_each_kind_is_heard_and_none_keeps_another_from_it(page: Page) -> None:
    found = await run(
        page,
        ALARM
        + """const all = { new: true, changed: true, cancelled: true, offline: true,
            session: true };
        return sounds(0, 20_000, () => all);""",
    )
    assert [kind for kind, _ in found[:5]] == ["cancelled", "changed", "new", "offline", "session"]
    assert {kind for kind, _ in found[5:]} == {"cancelled", "changed", "new"}
    assert all(later - earlier >= 1800 for (_, earlier), (_, later) in pairwise(found))


async def test_it_is_quiet_for_a_minute_if_somebody_asks_and_then_goes_on(page: Page) -> None:
    found = await run(
        page,
        ALARM
        + """alarm.hush(true, 0);
        const quiet = sounds(0, 60_000, () => ({ cancelled: true }));
        const left = alarm.quietFor(59_000);
        const after = sounds(60_000, 61_000, () => ({ cancelled: true }));
        alarm.hush(true, 61_000);
        alarm.hush(false, 62_000);
        return [quiet, left, after.length, sounds(67_000, 68_000,
            () => ({ cancelled: true })).length];""",
    )
    assert found == [[], 1000, 1, 1]


# ── the lamp ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("mode", "age", "shown"),
    [
        ("live", 5_500, "live"),
        ("live", 7_100, "unsure"),
        ("polling", 7_100, "unsure"),
        ("polling", 3_000, "polling"),
        ("offline", 60_000, "offline"),
        ("starting", 60_000, "starting"),
    ],
)
async def test_the_lamp_turns_when_nothing_was_certain_for_seven_seconds(
    page: Page, mode: str, age: int, shown: str
) -> None:
    told = f"certainMode({{ mode: '{mode}', certainAt: 100_000 }}, 100_000 + {age})"
    assert await run(page, f"return {told};") == shown


# ── the lanes ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("lanes", "cards", "chosen", "given"),
    [
        # Quiet: each column stands where it always stands.
        (4, (0, 0, 0, 0), "new", (1, 1, 1, 1)),
        (5, (1, 2, 0, 3), "new", (2, 1, 1, 1)),
        (12, (1, 0, 0, 0), "new", (3, 3, 3, 3)),
        # A rush of new orders takes the room of empty columns.
        (4, (31, 0, 0, 0), "new", (4, 0, 0, 0)),
        (5, (31, 3, 0, 0), "new", (4, 1, 0, 0)),
        (14, (50, 50, 0, 0), "new", (7, 7, 0, 0)),
        # Upright, three lanes: the last column is behind its tab, until it is chosen.
        (3, (4, 4, 4, 30), "new", (1, 1, 1, 0)),
        (3, (4, 4, 4, 30), "done", (1, 1, 0, 1)),
        # A phone shows one column.
        (1, (9, 9, 9, 9), "ready", (0, 0, 1, 0)),
        (2, (9, 9, 9, 9), "progress", (0, 2, 0, 0)),
    ],
)
async def test_lanes_go_to_whose_cards_do_not_fit(
    page: Page, lanes: int, cards: tuple[int, ...], chosen: str, given: tuple[int, ...]
) -> None:
    names = ("new", "progress", "ready", "done")
    counts = dict(zip(names, cards, strict=True))
    told = f"share({{ lanes: {lanes}, cards: {counts}, chosen: '{chosen}', perLane: 3 }})"
    assert tuple((await run(page, f"return {told};")).values()) == given


async def test_all_lanes_are_given_whatever_there_is(page: Page) -> None:
    found = await run(
        page,
        """const wrong = [];
        for (let lanes = 1; lanes <= 16; lanes++)
            for (const cards of [[0, 0, 0, 0], [1, 0, 0, 0], [100, 0, 7, 2], [0, 0, 0, 9], [3,
                3, 3, 3]]) {
                const [a, b, c, d] = cards;
                const given = share({ lanes, cards: { new: a, progress: b, ready: c, done: d },
                    chosen: "new", perLane: 4 });
                const sum = Object.values(given).reduce((one, other) => one + other);
                if (sum !== lanes) wrong.push([lanes, cards, given]);
            }
        return wrong;""",
    )
    assert found == []


# ── the rest ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_long_order_is_folded_and_what_changed_stays_in_sight(page: Page) -> None:
    found = await run(
        page,
        """const lines = Array.from({ length: 20 }, (_, n) => ({ kind: n === 17
            ? "changed" : "same", n }));
        const { shown, hidden } = foldedItems(lines, false);
        return [shown.map(({ n }) => n), hidden, foldedItems(lines, true).shown.length,
            foldedItems(lines.slice(0, 7), false).hidden, isLong("x".repeat(91)),
                isLong("short")];""",
    )
    assert found == [[0, 1, 2, 3, 4, 17], 14, 20, 0, True, False]


async def test_all_that_is_to_be_made_is_counted_without_what_is_done(page: Page) -> None:
    found = await run(
        page,
        """const orders = [
            order("placed", [item("Bibimbap", 2), item("Rice")]),
            { ...order("preparing", [item("bibimbap ", 3), item("Tea")]), id: "o2" },
            { ...order("ready", [item("Bibimbap", 9)]), id: "o3" },
        ];
        const bumped = new Bumped();
        bumped.toggle(orders[1], 1);
        return allDay(orders, (one) => bumped.of(one));""",
    )
    assert found == [{"name": "Bibimbap", "count": 5}, {"name": "Rice", "count": 1}]


async def test_a_line_that_is_done_is_not_once_the_order_has_changed(page: Page) -> None:
    found = await run(
        page,
        """const bumped = new Bumped();
        bumped.toggle(order("preparing", [item("a")]), 0);
        const kept = new Bumped(JSON.parse(JSON.stringify(bumped.kept)));
        return [[...kept.of(order("preparing", [item("a")]))], [...kept.of(order("preparing",
            [item("a", 2)]))]];""",
    )
    assert found == [[0], []]


async def test_orders_are_found_by_table_number_guest_dish_and_note(page: Page) -> None:
    found = await run(
        page,
        """const one = order("placed", [item("비빔밥 Bibimbap", 1, "no egg")], {
            table_id: "12", reference: "A-17", guest: { name: "Kim Minji", phone: "" },
        });
        return ["a-17", "12", "minji", "BIBIMBAP egg", "", "pizza"].map((query) => matches(one,
            query));""",
    )
    assert found == [True, True, True, True, True, False]


async def test_a_dish_has_one_id_however_its_name_is_written(page: Page) -> None:
    found = await run(
        page,
        """return [idOf("Kimchi  Stew") === idOf(" kimchi stew"), idOf("비빔밥") === idOf("불고기"),
            /^[A-Za-z0-9_.-]{1,64}$/.test(idOf("비빔밥")), sameName("ＡＢＣ")];""",
    )
    assert found == [True, False, True, "abc"]


@pytest.mark.parametrize(
    ("status", "before", "back"),
    [
        ("placed", None, None),
        ("accepted", None, "placed"),
        ("preparing", None, "accepted"),
        ("ready", None, "preparing"),
        ("ready", "accepted", "accepted"),
        ("served", None, "ready"),
        ("paid", None, "served"),
        ("rejected", None, "placed"),
        ("cancelled", "preparing", "preparing"),
        ("cancelled", None, "placed"),
    ],
)
async def test_an_order_goes_back_the_way_that_it_came(
    page: Page, status: str, before: str | None, back: str | None
) -> None:
    told = f"behind({{ status: '{status}' }}, {json.dumps(before)})"
    assert await run(page, f"return {told};") == back
    assert back is None or back in BACK[cast("OrderStatus", status)]


# ── stations, ages, the log ──────────────────────────────────────────────────────────────────────

MENU: Final = """const menu = [
    { id: "meals", names: ["식사", "Meals"], dishes: [{ id: "b", names: ["비빔밥", "Bibimbap"] }] },
    { id: "drinks", names: ["음료", "Drinks"], dishes: [{ id: "t", names: ["차", "Tea"] }] },
];"""


async def test_a_station_shows_what_is_made_there_and_what_no_menu_knows(page: Page) -> None:
    found = await run(
        page,
        MENU
        + """const grill = new Station(menu, ["meals", "gone"]);
        const orders = ["비빔밥  bibimbap", "bibimbap", "Tea", "Special"].map((name) =>
            order("placed", [item(name)]));
        const both = order("placed", [item("Tea"), item("비빔밥")]);
        return [orders.map((one) => grill.shows(one)), grill.shows(both),
            both.items.map((one) => grill.makes(one)),
            orders.map((one) => new Station(menu, []).shows(one)), grill.with("drinks"),
            new Station(menu, ["gone"]).shows(orders[2])];""",
    )
    assert found == [
        [True, True, False, True],
        True,
        [False, True],
        [True] * 4,
        ["meals", "drinks"],
        True,
    ]


async def test_a_station_shows_an_order_that_has_lost_its_dish_until_that_was_seen(
    page: Page,
) -> None:
    found = await run(
        page,
        MENU
        + """const grill = new Station(menu, ["meals"]);
        const seen = new Seen();
        seen.take([order("preparing", [item("Bibimbap"), item("Tea")])]);
        const now = order("preparing", [item("Tea")], { version: 2 });
        seen.take([now]);
        const before = grill.shows(now, seen.of(now));
        seen.acknowledge(now);
        return [before, grill.shows(now, seen.of(now))];""",
    )
    assert found == [True, False]


async def test_ages_turn_when_the_store_has_said_so(page: Page) -> None:
    found = await run(
        page,
        """const waits = { new: { amber: 3, red: 4 } };
        return [1, 2, 3, 5].flatMap((minutes) => [
            urgency(order("placed", []), minutes * 60_000),
            urgency(order("placed", []), minutes * 60_000, waits),
        ]).concat(urgency(order("paid", [], { open: false }), 9e9));""",
    )
    assert found == ["calm", "calm", "amber", "calm", "amber", "amber", "red", "red", "calm"]


LOG: Final = """
    const at = (seq) => new Date(Date.UTC(2026, 0, 1) + seq * 1000).toISOString();
    const eventOf = (seq) => ({
        id: `store:1@${seq}`, seq, type: "order.placed", occurred_at: at(seq),
        order_id: `o${seq % 3}`, order_version: seq,
        data: { id: `o${seq % 3}`, store_id: "1", table_id: null, status: "placed", version: seq,
            open: true, currency: "KRW", total: 1, items: [], note: "", created_at: at(1),
            updated_at: at(seq), reason: null, reference: null, guest: null },
    });
    // A log whose first `gone` events are kept no longer, and which answers at most `most` at once.
    const core = (head, { gone = 0, most = 1000 } = {}) => async (query) => {
        const after = Number(query.get("lastEventId").split("@")[1]);
        const count = Math.min(most, Number(query.get("limit")), head - after);
        const isCut = after < gone;
        const events = isCut ? [] : Array.from({ length: count }, (_, n) => eventOf(after + 1 + n));
        return {
            epoch: "E1", server_time: at(head), cursor: "", has_more: false, poll_after_ms: 1000,
            stream: null,
            channels: [{ channel: "store:1", head, digest: "0".repeat(16), content_digest: null,
                reset: isCut ? "retention" : null, events,
                snapshot: isCut ? { head, orders: [], next: null } : null }],
        };
    };
    const whole = async (log, head) => {
        for (let n = 0; n < 20 && !log.isWhole; n++) await log.earlier(head);
        return [log.isWhole, log.orders.map(({ version }) => version).sort((a, b) => a - b),
            log.oldest === null ? null : (log.oldest - Date.UTC(2026, 0, 1)) / 1000];
    };
"""


@pytest.mark.parametrize(
    ("core", "head", "told"),
    [
        ("core(450)", 450, [True, [448, 449, 450], 1]),
        ("core(450, { most: 7 })", 450, [True, [448, 449, 450], 1]),
        # What came after the terminal has heard of it is not of this page.
        ("core(460)", 450, [True, [448, 449, 450], 1]),
        ("core(0)", 0, [True, [], None]),
    ],
)
async def test_the_log_is_read_back_to_its_beginning(
    page: Page, core: str, head: int, told: list[Any]
) -> None:
    script = f"{LOG} return whole(new StoreLog('1', {core}), {head});"
    assert await run(page, script) == told


async def test_the_log_is_read_as_far_as_it_is_kept(page: Page) -> None:
    script = f"{LOG} return whole(new StoreLog('1', core(450, {{ gone: 333 }})), 450);"
    is_whole, versions, oldest = await run(page, script)
    assert is_whole
    assert versions == [448, 449, 450]
    # The last steps back are halves, so all but one event of what is kept was read.
    assert oldest in (334, 335)


# ── answers ──────────────────────────────────────────────────────────────────────────────────────


async def test_an_answer_that_the_log_never_brings_is_shown_for_a_minute_only(page: Page) -> None:
    shown = await run(
        page,
        """
        const ledger = new Ledger();
        const placed = order("preparing", [], { version: 2 });
        ledger.take({ orders: [placed], changes: [] }, 0);
        ledger.put({ ...placed, status: "ready", version: 3 }, 0);
        return [59_000, 61_000].map((now) => {
            ledger.take({ orders: [placed], changes: [] }, now);
            return ledger.get("o1").status;
        });
        """,
    )
    assert shown == ["ready", "preparing"]


@pytest.mark.parametrize(("repeated", "told"), [(False, ["o1"]), (True, [])])
async def test_a_repeated_answer_does_not_tell_how_the_order_stands(
    page: Page, repeated: bool, told: list[str]
) -> None:
    answered = await run(
        page,
        f"""
        const answered = [];
        const repeated = {str(repeated).lower()};
        const answer = {{ ok: true, repeated, order: order("accepted", []) }};
        const outbox = {{ deliver: async () => answer }};
        const nothing = () => {{}};
        const noted = ({{ id }}) => answered.push(id);
        const callbacks = {{ changed: nothing, answered: noted, refused: nothing }};
        const storage = {{ load: () => [], save: nothing }};
        const actions = new Actions({{ outbox, callbacks, storage }});
        actions.add(order("placed", []), "accepted");
        while (actions.pending) await new Promise((resolve) => setTimeout(resolve));
        return answered;
        """,
    )
    assert answered == told


async def test_what_was_pressed_more_than_a_day_ago_is_told_and_not_sent(page: Page) -> None:
    told = await run(
        page,
        """
        const [sent, refused, kept] = [[], [], []];
        const deliver = (path, body, { key }) => (sent.push(key), new Promise(() => {}));
        const outbox = { deliver };
        const nothing = () => {};
        const noted = ({ key }, { problem }) => refused.push([key, problem]);
        const press = (key, at) => ({ key, id: key, at, to: "accepted", reason: null });
        const day = 86_400_000;
        const storage = {
            load: () => [press("old", 0), press("new", 2), { ...press("before"), at: undefined }],
            save: (actions) => kept.splice(0, kept.length, ...actions.map(({ key }) => key)),
        };
        const callbacks = { changed: nothing, answered: nothing, refused: noted };
        new Actions({ outbox, callbacks, storage, now: () => day + 1 }).start();
        return { sent, refused, kept };
        """,
    )
    assert told == {
        "sent": ["new", "before"],
        "refused": [["old", "too-late"]],
        "kept": ["new", "before"],
    }


async def test_what_is_to_be_made_and_what_the_kitchen_has_begun(page: Page) -> None:
    statuses = [*STATUSES, "of-a-newer-core"]
    told = await run(
        page,
        f"""
        const kept = (test) => {json.dumps(statuses)}.filter((status) => test({{ status }}));
        return [kept(isToBeMade), kept(isUnderWay)];
        """,
    )
    assert told == [["placed", "accepted", "preparing"], ["accepted", "preparing", "ready"]]
