// One column of the board: its head, its cards in lanes, and how many cards are out of sight.

import { arrange, el, setText } from "../../shared/dom.js";
import { t } from "../../shared/language.js";

const EMPTY = { new: "emptyNew", progress: "emptyProgress", ready: "emptyReady", done: "emptyDone" };

/** A column, and the tab that chooses it. */
export class Column {
  /** The element that contains the cards; it scrolls. */
  list;
  #heading;
  #count = el("span", { class: "count" });
  #empty = el("div", { class: "empty" });
  #tabText = el("span");
  #tabCount = el("span", { class: "count" });
  #below = el("button", { class: "beyond below", type: "button", onclick: () => this.#page(1) });
  #above = el("button", { class: "beyond above", type: "button", onclick: () => this.#page(-1) });
  #first = el("button", { class: "button jump", type: "button", onclick: () => this.#jump(0) }, "↑");
  #last = el("button", { class: "button jump", type: "button", onclick: () => this.#jump(Infinity) }, "↓");
  #name;

  /**
   * @param name the column's name, of COLUMNS
   * @param choose called when its tab is pressed
   */
  constructor(name, choose) {
    this.#name = name;
    this.#heading = el("h2", { id: `column-${name}` });
    this.list = el("ol", { class: "cards", role: "list", "aria-labelledby": `column-${name}` });
    this.list.addEventListener("scroll", () => this.look(), { passive: true });
    this.section = el(
      "section",
      { class: "column", "data-column": name, "aria-labelledby": `column-${name}` },
      el("div", { class: "column-head" }, this.#heading, this.#count, el("span", { class: "jumps" }, this.#first, this.#last)),
      el("div", { class: "cards-frame" }, this.#above, this.list, this.#empty, this.#below),
    );
    this.tab = el(
      "button",
      { class: "tab", type: "button", "data-column": name, onclick: choose },
      this.#tabText,
      this.#tabCount,
    );
  }

  /** Marks the tab of the chosen column. */
  choose(isChosen) {
    this.tab.setAttribute("aria-pressed", String(isChosen));
  }

  /** Gives the column a number of lanes; 0: it is not shown. */
  widen(lanes) {
    this.section.dataset.lanes = String(lanes);
    this.section.style.setProperty("--lanes", String(Math.max(1, lanes)));
  }

  /**
   * Shows these cards.
   *
   * @param elements the cards, in their order
   * @param state `known`: whether the orders have arrived, so that there are no others; `waiting`: whether orders
   *   here wait to be accepted
   */
  fill(elements, { known, waiting }) {
    const name = this.#name;
    setText(this.#heading, t(name));
    setText(this.#tabText, t(name));
    this.section.classList.toggle("waiting", waiting);
    this.tab.classList.toggle("waiting", waiting);
    this.section.classList.toggle("unknown", !known);
    arrange(this.list, elements);
    this.#empty.hidden = elements.length > 0 || !known;
    setText(this.#empty, t(EMPTY[name]));
    this.#first.setAttribute("aria-label", t(name === "done" ? "toNewest" : "toOldest"));
    this.#last.setAttribute("aria-label", t(name === "done" ? "toOldest" : "toNewest"));
    this.#counted(elements.length);
  }

  /** Adds a card at the end; that moves no other card. */
  append(element) {
    this.list.append(element);
    this.#empty.hidden = true;
    this.#counted(this.list.children.length);
  }

  /** Shows how many cards are out of sight, above and below. */
  look() {
    const { top, bottom } = this.list.getBoundingClientRect();
    let [above, below] = [0, 0];
    for (const element of this.list.children) {
      const rect = element.getBoundingClientRect();
      const middle = (rect.top + rect.bottom) / 2;
      if (middle < top) above += 1;
      else if (middle > bottom) below += 1;
    }
    this.#beyond(this.#above, above, "moreAbove");
    this.#beyond(this.#below, below, "moreBelow");
    // The buttons keep their place, so that nothing moves when they are needed.
    for (const jump of [this.#first, this.#last]) jump.classList.toggle("unneeded", above + below === 0);
  }

  #beyond(button, count, text) {
    button.hidden = count === 0;
    setText(button, count === 0 ? "" : t(text, { count }));
  }

  #counted(count) {
    setText(this.#count, String(count));
    setText(this.#tabCount, String(count));
  }

  #page(direction) {
    this.list.scrollBy({ top: direction * this.list.clientHeight * 0.85 });
  }

  #jump(to) {
    this.list.scrollTo({ top: Math.min(to, this.list.scrollHeight) });
    const { children } = this.list;
    children[to === 0 ? 0 : children.length - 1]?.focus({ preventScroll: true });
  }
}
