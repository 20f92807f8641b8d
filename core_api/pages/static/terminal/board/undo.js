// The steps that the owner has just made, each with a button that undoes it.

import { el, setText } from "../../shared/dom.js";
import { orderNumber } from "../../shared/format.js";
import { t } from "../../shared/language.js";
import { statusText } from "../../shared/statuses.js";
import { placeOf } from "./card.js";

/** For how many milliseconds a step can be undone here; later it is undone on its card. */
const UNDO_MS = 8_000;
const SLOTS = 3;

/** The steps. Each has a place of its own, so that none moves when another one disappears. */
export class Undo {
  #slots = Array.from({ length: SLOTS }, () => null);
  #root;
  #undo;
  #moved;

  /**
   * @param root the element that shows them
   * @param undo (order's id, status, from): gives the order back its status, if it still has the status `from`
   * @param moved (elements): called with those that are new
   */
  constructor(root, undo, moved) {
    this.#root = root;
    this.#undo = undo;
    this.#moved = moved;
    root.replaceChildren(...this.#slots.map(() => el("div", { class: "undo-slot" })));
  }

  /**
   * Shows a step with its button.
   *
   * @param order the order as it was before the step
   * @param to the status that the step gave it
   */
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

  /** Undoes the newest step. */
  undoLast() {
    const last = this.#newest();
    if (last) this.#take(this.#slots.indexOf(last));
  }

  /** Shows the steps in the current language. */
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

  /** Marks the newest step, because a narrow screen shows only that. */
  #markNewest() {
    const newest = this.#newest();
    this.#slots.forEach((slot, n) => this.#root.children[n].toggleAttribute("data-newest", slot !== null && slot === newest));
  }

  #newest() {
    return this.#slots.filter(Boolean).sort((a, b) => b.at - a.at)[0];
  }
}
