// The four columns: each card where its order stands, moved and never rebuilt for it.

import { arrange, el, setText } from "../shared/dom.js";
import { t } from "../shared/language.js";
import { columnOf } from "../shared/statuses.js";
import { Card } from "./card.js";
import { COLUMNS } from "./steps.js";

const FRESH_MS = 6_000;
const EMPTY = { new: "emptyNew", progress: "emptyProgress", ready: "emptyReady", done: "emptyDone" };

/** The board in `root`, and the tabs in `tabs` that choose a column where only one fits. */
export class Board {
  #root;
  #tabs;
  #columns = {};
  #cards = new Map();
  #freshUntil = new Map();
  #act;
  #current = null;

  constructor(root, tabs, act) {
    this.#root = root;
    this.#tabs = tabs;
    this.#act = act;
    for (const name of COLUMNS) this.#columns[name] = this.#column(name);
    root.append(...COLUMNS.map((name) => this.#columns[name].section));
    tabs.append(...COLUMNS.map((name) => this.#columns[name].tab));
    root.addEventListener("focusin", (event) => this.#focused(event.target));
    this.choose("new");
  }

  /** Shows the orders, oldest first; `fresh` are the ids of those that just arrived. */
  show(orders, { now, showStore, fresh, known }) {
    for (const id of fresh) this.#freshUntil.set(id, now + FRESH_MS);
    const before = this.#place();
    const lists = Object.fromEntries(COLUMNS.map((name) => [name, []]));
    const cards = new Map();
    for (const order of orders) {
      const card = this.#cards.get(order.id) ?? new Card(this.#act);
      const isFresh = (this.#freshUntil.get(order.id) ?? 0) > now;
      card.show(order, { now, showStore, fresh: isFresh && order.status === "placed" });
      cards.set(order.id, card);
      lists[columnOf(order)].push(card);
    }
    lists.done.sort((a, b) => b.order.updated_at.localeCompare(a.order.updated_at));
    this.#cards = cards;
    for (const name of COLUMNS) this.#fill(name, lists[name], known);
    if (before) this.#keepPlace(before);
    this.#rove();
  }

  /** Brings ages up to date, and lets what was fresh fade. */
  age(now) {
    for (const [id, until] of this.#freshUntil) {
      if (until > now) continue;
      this.#freshUntil.delete(id);
      this.#cards.get(id)?.element.classList.remove("fresh");
    }
    for (const card of this.#cards.values()) card.age(now);
  }

  /** Shows that column where only one fits. */
  choose(name) {
    this.#root.dataset.column = name;
    for (const column of COLUMNS) {
      this.#columns[column].tab.setAttribute("aria-pressed", String(column === name));
    }
  }

  /** The card that has the focus, or undefined. */
  get focusedCard() {
    const element = document.activeElement?.closest?.(".card");
    return [...this.#cards.values()].find((card) => card.element === element);
  }

  /** Moves the focus by so many columns and cards; from nowhere, to the first card. */
  move(columns, cards) {
    const card = this.focusedCard;
    const lists = COLUMNS.map((name) => [...this.#columns[name].list.children]);
    if (!card) {
      this.#focus(lists.flat()[0]);
      return;
    }
    const column = COLUMNS.indexOf(columnOf(card.order));
    const row = lists[column].indexOf(card.element);
    if (cards !== 0) {
      this.#focus(lists[column][row + cards]);
      return;
    }
    for (let n = column + columns; n >= 0 && n < lists.length; n += columns) {
      if (lists[n].length > 0) {
        this.#focus(lists[n][Math.min(row, lists[n].length - 1)]);
        return;
      }
    }
  }

  /** Moves the focus to the oldest new order. */
  moveToNew() {
    this.#focus(this.#columns.new.list.firstElementChild);
  }

  #focus(element) {
    if (!element) return;
    const card = [...this.#cards.values()].find((one) => one.element === element);
    this.choose(columnOf(card.order));
    element.focus();
    element.scrollIntoView({ block: "nearest" });
  }

  #focused(target) {
    const element = target.closest(".card");
    if (!element) return;
    this.#current = element;
    this.#rove();
  }

  // One stop for the Tab key: the card that was last in use; its buttons follow it.
  #rove() {
    const all = [...this.#root.querySelectorAll(".card")];
    if (!all.includes(this.#current)) this.#current = all[0] ?? null;
    for (const element of all) {
      const index = element === this.#current ? "0" : "-1";
      element.tabIndex = index;
      for (const button of element.querySelectorAll("button")) button.tabIndex = index;
    }
  }

  #place() {
    const card = this.focusedCard;
    if (!card) return null;
    const siblings = [...card.element.parentElement.children];
    return { card, column: columnOf(card.order), row: siblings.indexOf(card.element) };
  }

  // Whoever has handled an order goes on with the next one of its column.
  #keepPlace({ card, column, row }) {
    const list = this.#columns[column].list.children;
    const stays = this.#cards.has(card.order.id) && card.element.parentElement === this.#columns[column].list;
    const next = stays ? card.element : (list[Math.min(row, list.length - 1)] ?? card.element);
    if (next.isConnected && document.activeElement !== next && !next.contains(document.activeElement)) {
      next.focus({ preventScroll: true });
    }
  }

  #column(name) {
    const heading = el("h2", { id: `column-${name}` });
    const count = el("span", { class: "count" });
    const list = el("ol", { class: "cards", role: "list", "aria-labelledby": `column-${name}` });
    const empty = el("div", { class: "empty" });
    const section = el(
      "section",
      { class: "column", "data-column": name, "aria-labelledby": `column-${name}` },
      el("div", { class: "column-head" }, heading, count),
      list,
      empty,
    );
    const tabText = el("span");
    const tabCount = el("span", { class: "count" });
    const tab = el(
      "button",
      { class: "tab", type: "button", "data-column": name, onclick: () => this.choose(name) },
      tabText,
      tabCount,
    );
    return { section, heading, count, list, empty, tab, tabText, tabCount };
  }

  #fill(name, cards, known) {
    const column = this.#columns[name];
    setText(column.heading, t(name));
    setText(column.tabText, t(name));
    setText(column.count, String(cards.length));
    setText(column.tabCount, String(cards.length));
    column.section.classList.toggle("waiting", name === "new" && cards.length > 0);
    column.tab.classList.toggle("waiting", name === "new" && cards.length > 0);
    arrange(column.list, cards.map((card) => card.element));
    column.empty.hidden = cards.length > 0 || !known;
    column.section.classList.toggle("unknown", !known);
    setText(column.empty, t(EMPTY[name]));
  }
}
