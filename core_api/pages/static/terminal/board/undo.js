// The steps that were just taken, each with a button that takes it back.

import { el, setText } from "../../shared/dom.js";
import { orderNumber } from "../../shared/format.js";
import { t } from "../../shared/language.js";
import { statusText } from "../../shared/statuses.js";
import { placeOf } from "./card.js";

/** So long a step can be taken back here; later on its card. */
const UNDO_MS = 8_000;
const SLOTS = 3;

/** The steps in `root`, each in a place of its own, so that none moves when another goes. */
export class Undo {
  #slots = Array.from({ length: SLOTS }, () => null);
  #root;
  #undo;
  #moved;

  /**
   * @param undo (id, status, from) takes the order back to the status, if it is still where the step led
   * @param moved told the elements that are new
   */
  constructor(root, undo, moved) {
    this.#root = root;
    this.#undo = undo;
    this.#moved = moved;
    root.replaceChildren(...this.#slots.map(() => el("div", { class: "undo-slot" })));
  }

  /** A step was taken: from this order as it was, to that status. */
  add(order, to) {
    const at = performance.now();
    const ages = this.#slots.map((slot) => slot?.at ?? 0);
    const same = this.#slots.findIndex((slot) => slot?.order.id === order.id);
    const index = same >= 0 ? same : ages.indexOf(Math.min(...ages));
    clearTimeout(this.#slots[index]?.timer);
    const timer = setTimeout(() => this.#clear(index), UNDO_MS);
    this.#slots[index] = { order, to, at, timer };
    this.#show(index);
  }

  /** Takes the newest step back. */
  undoLast() {
    const last = this.#newest();
    if (last) this.#take(this.#slots.indexOf(last));
  }

  /** Says it in the language that was chosen. */
  translate() {
    this.#slots.forEach((slot, index) => slot && this.#show(index));
  }

  close() {
    for (const slot of this.#slots) clearTimeout(slot?.timer);
  }

  #show(index) {
    const { order, to } = this.#slots[index];
    const what = el("span", { class: "undo-what" });
    setText(what, t("undoStep", { place: placeOf(order), number: orderNumber(order), status: statusText(to) }));
    const button = el("button", { class: "button undo-button", type: "button", onclick: () => this.#take(index) }, t("undo"));
    const shown = el("div", { class: "undo", "data-press": `undo ${order.id}` }, what, button);
    this.#root.children[index].replaceChildren(shown);
    this.#markNewest();
    this.#moved([shown]);
  }

  #take(index) {
    const { order, to } = this.#slots[index];
    this.#clear(index);
    this.#undo(order.id, order.status, to);
  }

  #clear(index) {
    clearTimeout(this.#slots[index]?.timer);
    this.#slots[index] = null;
    this.#root.children[index].replaceChildren();
    this.#markNewest();
  }

  /** A narrow screen has room for one. */
  #markNewest() {
    const newest = this.#newest();
    this.#slots.forEach((slot, n) => this.#root.children[n].toggleAttribute("data-newest", slot !== null && slot === newest));
  }

  #newest() {
    return this.#slots.filter(Boolean).sort((a, b) => b.at - a.at)[0];
  }
}
