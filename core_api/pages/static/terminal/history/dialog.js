// The history of the day: every order since midnight, also those that have left the board, and a button that takes
// one back.

import { el, setText } from "../../shared/dom.js";
import { dayAndTime, itemsLine, money, orderNumber } from "../../shared/format.js";
import { language, t } from "../../shared/language.js";
import { behind, statusText, toneOf } from "../../shared/statuses.js";
import { placeOf } from "../board/card.js";
import { matches } from "../kitchen/totals.js";
import { StoreLog } from "./log.js";

/** At most this many pages are read without a press, until the day's first order is found. */
const MAX_PAGES = 20;

/** The dialog. It is filled anew from the log whenever it is opened. */
export class History {
  #stores;
  #ask;
  #headOf;
  #known;
  #recall;
  #logs = [];
  #isLoading = false;
  #hasFailed = false;
  #find = el("input", { type: "search", autocomplete: "off", oninput: () => this.#show() });
  #title = el("h2", { id: "history-title" });
  #said = el("p", { class: "quiet", role: "status" });
  #rows = el("ol", { class: "past", role: "list", tabindex: "0" });
  #more = el("button", { class: "button", type: "button", "data-repeats": true, onclick: () => this.#load(1) });
  #close = el("button", { class: "button", type: "button", onclick: () => this.element.close() });
  element = el("dialog", { id: "history", class: "sheet wide", "aria-labelledby": "history-title" },
    this.#title, this.#find, this.#said, this.#rows, el("div", { class: "row" }, this.#more, this.#close));

  /**
   * @param stores the ids of the stores that the terminal follows
   * @param ask (query) → a promise, as StoreLog takes it
   * @param headOf (store) → the seq of the newest known event of its channel, or null
   * @param known (order) → its newest version here, and how far it had come: {order, started}
   * @param recall (order, status): takes the order back to that status
   */
  constructor({ stores, ask, headOf, known, recall }) {
    this.#stores = stores;
    this.#ask = ask;
    this.#headOf = headOf;
    this.#known = known;
    this.#recall = recall;
  }

  /** Opens the dialog, and reads the log back to the beginning of the day. */
  open() {
    document.body.append(this.element);
    this.#logs = this.#stores.map((id) => ({ id, log: new StoreLog(id, this.#ask) }));
    this.#find.value = "";
    this.#rows.replaceChildren();
    this.element.lang = language();
    this.element.showModal();
    this.#find.focus();
    return this.#load(MAX_PAGES, new Date().setHours(0, 0, 0, 0));
  }

  /** Shows a change of the orders on the board here, too. */
  show() {
    if (this.element.open) this.#show();
  }

  close() {
    this.element.remove();
  }

  async #load(pages, until = -Infinity) {
    if (this.#isLoading) return;
    this.#isLoading = true;
    this.#hasFailed = false;
    this.#show();
    try {
      for (const { id, log } of this.#logs) await this.#back(log, id, pages, until);
    } catch {
      // There is no network, or Core is busy: the person can press again.
      this.#hasFailed = true;
    }
    this.#isLoading = false;
    this.show();
  }

  async #back(log, id, pages, until) {
    for (let n = 0; n < pages && !log.isWhole && (log.oldest ?? Infinity) > until; n++) {
      await log.earlier(this.#headOf(id));
      this.show();
    }
  }

  #show() {
    setText(this.#title, t("history"));
    setText(this.#close, t("close"));
    setText(this.#more, t("historyEarlier"));
    this.#find.setAttribute("placeholder", t("historyFind"));
    this.#find.setAttribute("aria-label", t("historyFind"));
    this.#rows.setAttribute("aria-label", t("history"));
    this.#more.disabled = this.#isLoading || this.#logs.every(({ log }) => log.isWhole);
    const found = this.#found();
    this.#rows.replaceChildren(...found.map((order) => this.#row(order)));
    setText(this.#said, this.#state(found.length));
  }

  #state(count) {
    if (this.#isLoading) return t("historyLoading");
    if (this.#hasFailed) return t("historyFailed");
    const said = count === 0 ? t("historyNone") : t("historyCount", { count });
    return this.#more.disabled ? `${said} · ${t("historyWhole")}` : said;
  }

  /** The orders that match the search, the newest first, each in its newest version here. */
  #found() {
    return this.#logs
      .flatMap(({ log }) => log.orders)
      .map((order) => this.#known(order))
      .filter(({ order }) => matches(order, this.#find.value))
      .sort((a, b) => b.order.created_at.localeCompare(a.order.created_at));
  }

  #row({ order, started }) {
    const before = order.sending ? null : behind(order, started);
    const back = before === null ? null : el(
      "button",
      { class: "button", type: "button", "data-back": before, onclick: () => this.#recall(order, before) },
      t("takeBack", { status: statusText(before) }),
    );
    return el("li", { "data-order": order.id, "data-press": `past ${order.id}` },
      el("time", { datetime: order.created_at }, dayAndTime(Date.parse(order.created_at))),
      el("strong", {}, `${placeOf(order)} · #${orderNumber(order)}`),
      el("span", { class: "badge", "data-tone": toneOf(order), dir: "auto" }, statusText(order.status)),
      el("span", { class: "past-items", dir: "auto" }, itemsLine(order)),
      el("span", { class: "amount" }, money(order.total, order.currency)),
      back);
  }
}
