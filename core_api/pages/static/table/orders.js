// The guest's orders, each with how far it has come.

import { arrange, el } from "../shared/dom.js";
import { clockTime, money, orderNumber } from "../shared/format.js";
import { hasText, language, t } from "../shared/language.js";
import { markWith, stageOf, statusText, toneOf } from "../shared/statuses.js";

const STAGES = [1, 2, 3, 4, 5];

/** How far an order has come, for its guest. */
export function lineOf({ status }) {
  const known = hasText(`line_${status}`);
  return known ? t(`line_${status}`) : t("lineOther", { status });
}

/** The list in `root`; `cancel` (order) is called when the guest takes one back. */
export class Orders {
  #root;
  #cancel;
  #rows = new Map();

  constructor(root, cancel) {
    this.#root = root;
    this.#cancel = cancel;
  }

  /** Shows the orders, the newest first. */
  show(orders) {
    const rows = new Map();
    for (const order of [...orders].reverse()) rows.set(order.id, this.#row(order));
    this.#rows = rows;
    arrange(this.#root, [...rows.values()].map((row) => row.element));
  }

  #row(order) {
    const { version, status, sending = false, waits = null } = order;
    const shown = [language(), version, status, sending, waits].join();
    const known = this.#rows.get(order.id);
    if (known?.shown === shown) return known;
    const element = known?.element ?? el("li", { class: "order" });
    markWith(element, order);
    element.classList.toggle("sending", sending);
    element.replaceChildren(...this.#content(order));
    return { element, shown };
  }

  #content(order) {
    const waits = { network: "orderRetrying", token: "orderWaitsForToken" }[order.waits];
    const reached = stageOf(order);
    return [
      el(
        "div",
        { class: "order-head" },
        el("span", { class: "badge", "data-tone": toneOf(order), dir: "auto" }, statusText(order.status)),
        el("span", { class: "quiet" }, `#${orderNumber(order)} · ${clockTime(Date.parse(order.created_at)).slice(0, -3)}`),
      ),
      el("p", { class: "line" }, waits ? t(waits) : lineOf(order)),
      reached === null
        ? null
        : el("div", { class: "stages", "aria-hidden": "true" },
            STAGES.map((stage) => el("span", { class: stage <= reached ? "done" : null }))),
      order.reason ? el("p", { class: "quiet", dir: "auto" }, t("reason", { reason: order.reason })) : null,
      el("ul", { class: "order-items" },
        order.items.map((item) =>
          el("li", {}, el("span", {}, `${item.quantity}×`), el("span", { dir: "auto" }, item.name)))),
      order.note ? el("p", { class: "order-note", dir: "auto" }, order.note) : null,
      el(
        "div",
        { class: "order-foot" },
        el("strong", {}, money(order.total, order.currency)),
        order.status === "placed" && !order.sending
          ? el("button", { class: "button", type: "button", onclick: () => this.#cancel(order) }, t("cancel"))
          : null,
      ),
    ].filter((part) => part !== null);
  }
}
