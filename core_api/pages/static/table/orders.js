// The guest's orders, each with how far it has come. On a phone all but the newest are hidden behind a button, so
// that the menu stays in sight.

import { arrange, byId, el, setText } from "../shared/dom.js";
import { clockTime, itemsLine, money, orderNumber } from "../shared/format.js";
import { hasText, language, t } from "../shared/language.js";
import { markWith, reasonText, stageOf, statusText, toneOf } from "../shared/statuses.js";
import { countOf } from "./cart/predictions_and_sums.js";
import { waitOf } from "./shop.js";

const STAGES = [1, 2, 3, 4, 5];

/** The sentence that tells a guest how far an order has come. */
export function lineOf({ status }) {
  const known = hasText(`line_${status}`);
  return known ? t(`line_${status}`) : t("lineOther", { status });
}

/** The list of orders. */
export class Orders {
  #root = byId("orders");
  #fold = byId("orders-fold");
  #cancel;
  #call;
  #rows = new Map();
  #unfolded = false;

  /**
   * @param callbacks cancel(order) when the guest takes an order back, call(order) when they call the staff
   *   about it
   */
  constructor({ cancel, call }) {
    this.#cancel = cancel;
    this.#call = call;
    this.#fold.addEventListener("click", () => {
      this.#unfolded = !this.#unfolded;
      this.#showFold();
    });
  }

  /**
   * Shows the orders, the newest first.
   *
   * @param orders the oldest first
   * @param now Core's time in milliseconds since 1970
   * @param minutes how long an order takes, as the store says; null: it does not say
   */
  show(orders, now, minutes) {
    const rows = new Map();
    for (const order of [...orders].reverse()) rows.set(order.id, this.#row(order, waitOf(order, now, minutes)));
    this.#rows = rows;
    arrange(this.#root, [...rows.values()].map((row) => row.element));
    this.#showFold();
  }

  /** Highlights an order, and scrolls it into view. */
  reveal(id) {
    const element = this.#rows.get(id)?.element;
    element?.classList.add("fresh");
    element?.scrollIntoView({ block: "nearest" });
  }

  #showFold() {
    const [, ...older] = [...this.#rows.values()].map(({ order }) => order);
    this.#fold.hidden = older.length === 0;
    this.#fold.setAttribute("aria-expanded", String(this.#unfolded));
    this.#root.classList.toggle("folded", !this.#unfolded);
    const ready = older.filter(({ status }) => status === "ready").length;
    const text = this.#unfolded ? "foldOrders" : ready > 0 ? "moreOrdersReady" : "moreOrders";
    setText(this.#fold, t(text, { count: older.length, ready }));
  }

  #row(order, wait) {
    const { version, status, sending = false, waits = null } = order;
    const shown = [language(), version, status, sending, waits, wait?.text, wait?.minutes].join();
    const known = this.#rows.get(order.id);
    if (known?.shown === shown) return known;
    const element = known?.element ?? el("li", { class: "order" });
    // Details that the guest has opened stay open.
    const isOpen = element.querySelector("details")?.open ?? false;
    markWith(element, order);
    element.classList.toggle("sending", sending);
    element.classList.toggle("late", wait?.text === "waitLong");
    element.replaceChildren(...this.#content(order, wait, isOpen));
    return { element, shown, order };
  }

  #content(order, wait, isOpen) {
    const waits = { network: "orderRetrying", token: "orderWaitsForToken" }[order.waits];
    const reached = stageOf(order);
    return [
      el(
        "div",
        { class: "order-head" },
        el("span", { class: "badge", "data-tone": toneOf(order), dir: "auto" }, statusText(order.status)),
        el("span", { class: "quiet" }, `#${orderNumber(order)} · ${clockTime(Date.parse(order.created_at)).slice(0, -3)}`),
        el("strong", {}, money(order.total, order.currency)),
      ),
      el("p", { class: "line" }, waits ? t(waits) : this.#line(order, wait)),
      wait === null ? null : el("p", { class: "wait" }, t(wait.text, { minutes: wait.minutes })),
      reached === null
        ? null
        : el("div", { class: "stages", "aria-hidden": "true" },
            STAGES.map((stage) => el("span", { class: stage <= reached ? "done" : null }))),
      order.reason
        ? el("p", { class: "quiet", dir: "auto" }, t("reason", { reason: reasonText(order.reason) }))
        : null,
      el("details", { open: isOpen },
        el("summary", {}, t("dishes", { count: countOf(order.items) })),
        el("ul", { class: "order-items", role: "list" },
          order.items.map((item) =>
            el("li", {}, el("span", {}, `${item.quantity}×`), el("span", { dir: "auto" }, item.name),
              item.note ? el("em", { dir: "auto" }, item.note) : null))),
        order.note ? el("p", { class: "order-note", dir: "auto" }, order.note) : null),
      this.#actions(order, wait),
    ].filter((part) => part !== null);
  }

  /** Once an order has waited for minutes, the page does not say that it will be confirmed in a moment. */
  #line(order, wait) {
    const isLate = order.status === "placed" && ["waitLong", "waitConfirm"].includes(wait?.text);
    return isLate ? t("line_unconfirmed") : lineOf(order);
  }

  #actions(order, wait) {
    const button = (text, press) => el("button", { class: "button", type: "button", onclick: press }, text);
    const actions = [
      order.status === "placed" && !order.sending ? button(t("cancel"), () => this.#cancel(order)) : null,
      wait?.text === "waitLong" ? button(t("askStaff"), () => this.#call(order)) : null,
    ].filter((one) => one !== null);
    return actions.length === 0 ? null : el("div", { class: "order-foot" }, actions);
  }
}

/** An order in one line, for a question about it. */
export const summaryOf = (order) => `#${orderNumber(order)} · ${itemsLine(order)}`;
