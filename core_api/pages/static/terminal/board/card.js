// One order on the board.

import { el, setText } from "../../shared/dom.js";
import { itemsLine, money, orderNumber } from "../../shared/format.js";
import { t } from "../../shared/language.js";
import { behind, isToBeMade, isUnderWay, markWith, statusText, stepsOf, toneOf, wantsReason } from "../../shared/statuses.js";
import { foldedItems, isLong } from "./folding.js";
import { urgency } from "./steps.js";

/** Where the order is to be brought, in words: its table, or the counter. */
export const placeOf = (order) =>
  order.table_id === null ? t("counter") : t("table", { table: order.table_id });

/** An age in milliseconds, in words. */
function ageText(ms) {
  const minutes = Math.max(0, Math.floor(ms / 60_000));
  if (minutes < 1) return t("ageNow");
  if (minutes < 60) return t("ageMinutes", { minutes });
  return t("ageHours", { hours: Math.floor(minutes / 60), minutes: minutes % 60 });
}

/** A card. It is rebuilt when its order has changed; its age is kept up to date. */
export class Card {
  element = el("li", { class: "card", tabindex: "-1" });
  order = null;
  #shown = "";
  #age = null;
  #marks = null;
  #now = 0;
  #unfolded = false;
  #bumped = new Set();
  #station = null;
  #waits;
  #actions;
  #redraw = () => {};

  /**
   * @param actions callbacks of the buttons: act(order, status), back(order, status), acknowledge(order) and bump(order,
   *   position of the line). Also before(order), which returns how far the order had come, or null, and where(order),
   *   which returns the {button, list} that show on which devices it is
   */
  constructor(actions) {
    this.#actions = actions;
  }

  /**
   * Shows the order.
   *
   * @param order the order as it will be after its action, as Actions.shown returns it
   * @param now Core's time in milliseconds since 1970
   * @param showStore whether the card names the store, as where the terminal follows several
   * @param fresh whether the order has just arrived
   * @param marks what nobody has seen of it, as Seen.of; null: nothing
   * @param bumped its lines that are done, as a Set of positions
   * @param matches whether the search finds it
   * @param station the Station of this screen: lines that others make are shown in a quiet colour
   * @param waits when its age turns amber and red, as WAITS
   */
  show(order, { now, showStore, fresh, marks, bumped, matches, station, waits }) {
    this.order = order;
    this.#station = station;
    this.#waits = waits;
    this.#marks = marks;
    this.#bumped = bumped;
    this.#redraw = () => this.#build(order, showStore);
    const { version, status, sending = false, waits: waitsFor = null } = order;
    const seen = JSON.stringify(marks);
    const { lang } = document.documentElement;
    const shown = [lang, version, status, sending, waitsFor, seen, ...bumped, ...station.chosen].join();
    markWith(this.element, order);
    this.element.dataset.press = order.id;
    this.element.dataset.marks = marks?.kind ?? "";
    this.element.classList.toggle("sending", sending);
    this.element.classList.toggle("fresh", fresh);
    this.element.classList.toggle("unmatched", !matches);
    if (shown !== this.#shown) {
      this.#shown = shown;
      this.#redraw();
    }
    this.age(now);
  }

  /** Fixes the card's height while no card may move, or releases it. */
  hold(isHeld) {
    const { style } = this.element;
    if (isHeld && style.height === "") style.height = `${this.element.offsetHeight}px`;
    else if (!isHeld) style.height = "";
  }

  /** Brings the age up to date; `now`: Core's time in milliseconds since 1970. */
  age(now) {
    this.#now = now;
    const ms = now - Date.parse(this.order.created_at);
    const age = ageText(ms);
    this.element.dataset.urgency = urgency(this.order, ms, this.#waits);
    if (this.#age.textContent === age && this.element.hasAttribute("aria-label")) return;
    setText(this.#age, age);
    this.element.setAttribute("aria-label", this.#label(age));
  }

  /** Presses the button with this number, counted from 1. */
  press(number) {
    if (this.order.sending) return;
    if (this.#marks !== null) {
      if (number === 1) this.#actions.acknowledge(this.order);
      return;
    }
    const step = stepsOf(this.order)[number - 1];
    if (step) this.#actions.act(this.order, step);
  }

  #label(age) {
    const { order } = this;
    const label = t("orderLabel", {
      place: placeOf(order),
      number: orderNumber(order),
      status: statusText(order.status),
      age,
      items: itemsLine(order),
      total: money(order.total, order.currency),
    });
    return this.#marks === null ? label : `${t(`marks_${this.#marks.kind}`)}: ${label}`;
  }

  #build(order, showStore) {
    const focused = this.element.contains(document.activeElement);
    this.#age = el("span", { class: "age" });
    this.element.removeAttribute("aria-label");
    const marks = this.#marks;
    const where = this.#actions.where(order);
    // Its column says already that the order is new.
    const isNew = order.status === "placed";
    const total = el(
      "p",
      { class: "total" },
      isNew ? null : el("span", { class: "badge", "data-tone": toneOf(order), dir: "auto" }, statusText(order.status)),
      el("strong", {}, money(order.total, order.currency)),
    );
    const parts = [
      marks ? el("p", { class: "shout" }, t(`marks_${marks.kind}`)) : null,
      el(
        "div",
        { class: "card-head" },
        where.button,
        el("h3", {}, placeOf(order)),
        this.#age,
        el("p", { class: "number" }, `#${orderNumber(order)}`,
          showStore ? ` · ${t("store", { store: order.store_id })}` : null,
          order.guest?.name ? ` · ${order.guest.name}` : null),
        isNew ? total : null,
      ),
      this.#items(order),
      ...this.#notes(order),
      isNew ? null : total,
      where.list,
      this.#foot(order),
    ];
    // `replaceChildren` would show null as a word.
    this.element.replaceChildren(...parts.filter((part) => part !== null));
    if (focused) this.element.focus({ preventScroll: true });
  }

  #items(order) {
    const lines = this.#marks?.lines ?? order.items.map((item) => ({ kind: "same", item, was: null }));
    const { shown, hidden } = foldedItems(lines, this.#unfolded);
    const rows = shown.map((line) => this.#row(line, order));
    const isLongNote = isLong(order.note);
    if (hidden > 0 || this.#unfolded || isLongNote) rows.push(this.#folder(hidden));
    return el("ul", { class: "items", role: "list" }, rows);
  }

  #folder(hidden) {
    const text = this.#unfolded ? t("fold") : hidden > 0 ? t("unfoldItems", { count: hidden }) : t("unfoldNote");
    const unfold = () => {
      this.#unfolded = !this.#unfolded;
      this.#redraw();
      this.age(this.#now);
    };
    const button = el(
      "button",
      { class: "fold", type: "button", tabindex: "-1", "aria-expanded": String(this.#unfolded), onclick: unfold },
      text,
    );
    return el("li", { class: "folder" }, button);
  }

  #row({ kind, item, was }, order) {
    const shown = item ?? was;
    const line = order.items.indexOf(item);
    const isDone = line >= 0 && this.#bumped.has(line);
    const bump = () => this.#actions.bump(order, line);
    const name = el("span", { class: "item-name", dir: "auto" }, shown.name,
      shown.note ? el("em", { dir: "auto" }, shown.note) : null);
    const old = kind === "changed" ? el("s", { class: "was", dir: "auto" }, lineText(was)) : null;
    const canBump = line >= 0 && order.open !== false && isToBeMade(order) && isUnderWay(order);
    return el(
      "li",
      { "data-line": kind, class: isDone ? "bumped" : this.#station.makes(shown) ? null : "elsewhere" },
      el("span", { class: "quantity" }, `${shown.quantity}×`),
      kind === "removed" ? el("s", { class: "item-name", dir: "auto" }, shown.name) : canBump
        ? el("button", { class: "bump", type: "button", tabindex: "-1", "aria-pressed": String(isDone), onclick: bump }, name)
        : name,
      item ? el("span", { class: "amount" }, money(item.quantity * item.unit_price, order.currency)) : null,
      old,
    );
  }

  #notes(order) {
    const note = this.#marks?.note ?? null;
    const className = `note ${this.#unfolded ? "" : "folded"} ${note ? "changed" : ""}`;
    return [
      note?.was ? el("p", { class: "note old", dir: "auto" }, el("s", {}, note.was)) : null,
      order.note ? el("p", { class: className, dir: "auto" }, order.note) : null,
      order.reason ? el("p", { class: "note", dir: "auto" }, t("reasonShown", { reason: order.reason })) : null,
    ];
  }

  #foot(order) {
    if (order.sending) {
      const text = { network: "retrying", token: "waitsForToken" }[order.waits] ?? "sending";
      return el("p", { class: `sending-note ${order.waits ? "retrying" : ""}` }, t(text));
    }
    if (this.#marks !== null) {
      const seen = () => this.#actions.acknowledge(this.order);
      return el("div", { class: "steps" }, button("step main seen", seen, t(`seen_${this.#marks.kind}`), 1));
    }
    const buttons = stepsOf(order).map((to, n) => {
      const kind = `step ${n === 0 ? "main" : wantsReason(to) ? "soft" : ""}`;
      return button(kind, () => this.#actions.act(this.order, to), t(`step_${to}`), n + 1, { "data-to": to });
    });
    const before = behind(order, this.#actions.before(order));
    if (before !== null) {
      const label = t("takeBack", { status: statusText(before) });
      const back = () => this.#actions.back(this.order, before);
      buttons.push(button("step soft back", back, "←", null, { "data-back": before, "aria-label": label, title: label }));
    }
    return buttons.length > 0 ? el("div", { class: "steps" }, buttons) : null;
  }
}

const lineText = ({ quantity, name, note }) => `${quantity}× ${name}${note ? ` (${note})` : ""}`;

function button(kind, press, text, number, more = {}) {
  return el(
    "button",
    { class: `button ${kind}`, type: "button", tabindex: "-1", onclick: press, ...more },
    el("span", {}, text),
    number === null ? null : el("kbd", { "aria-hidden": "true" }, String(number)),
  );
}
