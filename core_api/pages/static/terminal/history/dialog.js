// The day's history: every order since midnight, also those that have left the board, and the step back.

import { el, setText } from "../../shared/dom.js";
import { dayAndTime, itemsLine, money, orderNumber } from "../../shared/format.js";
import { language, t } from "../../shared/language.js";
import { behind, statusText, toneOf } from "../../shared/statuses.js";
import { placeOf } from "../board/card.js";
import { matches } from "../kitchen/totals.js";
import { StoreLog } from "./log.js";

/** So many pages are read by themselves, until the day's first order is there. */
const MAX_PAGES = 20;

/** The dialog, made anew from the log whenever it is opened. */
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
   * @param stores the ids of those that the terminal follows
   * @param ask as StoreLog takes it
   * @param headOf (store) → the seq of the newest event that is known of its channel, or null
   * @param known (order) → {order as it stands here, started: how far it had come}
   * @param recall (order, status) takes it back
   */
  constructor({ stores, ask, headOf, known, recall }) {
    this.#stores = stores;
    this.#ask = ask;
    this.#headOf = headOf;
    this.#known = known;
    this.#recall = recall;
  }

  /** Opens it, and reads the log back to this day's beginning. */
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

  /** Something has changed of the orders on the board. */
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
      // A network that is gone, or a Core that is busy: whoever looks presses again.
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

  /** What was found of what somebody looks for, the newest first, as it stands here. */
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
