// One order on the board.

import { el, setText } from "../shared/dom.js";
import { itemsLine, money, orderNumber } from "../shared/format.js";
import { t } from "../shared/language.js";
import { markWith, statusText, stepsOf, toneOf, wantsReason } from "../shared/statuses.js";
import { urgency } from "./steps.js";

/** Where the order goes: its table, or the counter. */
export const placeOf = (order) =>
  order.table_id === null ? t("counter") : t("table", { table: order.table_id });

/** How long ago, in words. */
function ageText(ms) {
  const minutes = Math.max(0, Math.floor(ms / 60_000));
  if (minutes < 1) return t("ageNow");
  if (minutes < 60) return t("ageMinutes", { minutes });
  return t("ageHours", { hours: Math.floor(minutes / 60), minutes: minutes % 60 });
}

/** A card: built anew when its order changed, aged every few seconds. */
export class Card {
  element = el("li", { class: "card", tabindex: "-1" });
  order = null;
  #shown = "";
  #age = null;
  #act;

  /** @param act (order, step) called when one of its buttons is pressed */
  constructor(act) {
    this.#act = act;
  }

  /** Shows the order; `showStore` where the terminal follows several. */
  show(order, { now, showStore, fresh }) {
    this.order = order;
    const { version, status, sending = false, waits = null } = order;
    const shown = [document.documentElement.lang, version, status, sending, waits].join();
    markWith(this.element, order);
    this.element.classList.toggle("sending", sending);
    this.element.classList.toggle("fresh", fresh);
    if (shown !== this.#shown) {
      this.#shown = shown;
      this.#build(order, showStore);
    }
    this.age(now);
  }

  /** Brings the age up to date. */
  age(now) {
    const ms = now - Date.parse(this.order.created_at);
    const age = ageText(ms);
    this.element.dataset.urgency = urgency(this.order, ms);
    if (this.#age.textContent === age && this.element.hasAttribute("aria-label")) return;
    setText(this.#age, age);
    this.element.setAttribute("aria-label", this.#label(age));
  }

  /** Presses the button with that number, from 1. */
  press(number) {
    const step = stepsOf(this.order)[number - 1];
    if (step && !this.order.sending) this.#act(this.order, step);
  }

  #label(age) {
    const { order } = this;
    return t("orderLabel", {
      place: placeOf(order),
      number: orderNumber(order),
      status: statusText(order.status),
      age,
      items: itemsLine(order),
      total: money(order.total, order.currency),
    });
  }

  #build(order, showStore) {
    const focused = this.element.contains(document.activeElement);
    this.#age = el("span", { class: "age" });
    this.element.removeAttribute("aria-label");
    const parts = [
      el(
        "div",
        { class: "card-head" },
        el("h3", {}, placeOf(order)),
        this.#age,
        el("p", { class: "number" }, `#${orderNumber(order)}`,
          showStore ? ` · ${t("store", { store: order.store_id })}` : null,
          order.guest?.name ? ` · ${order.guest.name}` : null),
      ),
      el("ul", { class: "items" }, order.items.map((item) => itemRow(item, order.currency))),
      order.note ? el("p", { class: "note", dir: "auto" }, order.note) : null,
      order.reason ? el("p", { class: "note", dir: "auto" }, t("reasonShown", { reason: order.reason })) : null,
      el(
        "p",
        { class: "total" },
        el("span", { class: "badge", "data-tone": toneOf(order), dir: "auto" }, statusText(order.status)),
        el("strong", {}, money(order.total, order.currency)),
      ),
      this.#foot(order),
    ];
    // An absent part would be shown as the word null.
    this.element.replaceChildren(...parts.filter((part) => part !== null));
    if (focused) this.element.focus({ preventScroll: true });
  }

  #foot(order) {
    if (order.sending) {
      const text = { network: "retrying", token: "waitsForToken" }[order.waits] ?? "sending";
      return el("p", { class: `sending-note ${order.waits ? "retrying" : ""}` }, t(text));
    }
    const buttons = stepsOf(order).map((to, n) =>
      el(
        "button",
        {
          class: `button step ${n === 0 ? "main" : wantsReason(to) ? "soft" : ""}`,
          type: "button",
          tabindex: "-1",
          "data-to": to,
          onclick: () => this.#act(this.order, to),
        },
        el("span", {}, t(`step_${to}`)),
        el("kbd", { "aria-hidden": "true" }, String(n + 1)),
      ),
    );
    return buttons.length > 0 ? el("div", { class: "steps" }, buttons) : null;
  }
}

function itemRow(item, currency) {
  return el(
    "li",
    {},
    el("span", { class: "quantity" }, `${item.quantity}×`),
    el("span", { class: "item-name", dir: "auto" }, item.name,
      item.note ? el("em", { dir: "auto" }, item.note) : null),
    el("span", { class: "amount" }, money(item.quantity * item.unit_price, currency)),
  );
}
