// Which orders this screen shows: those with dishes of the sections that are made beside it. Pure.
//
// A dish that is on no menu is shown on every screen, so that each order is on one screen at least.

import { sameName } from "../../shared/names.js";

/** The chosen sections of the menu. */
export class Station {
  #chosen;
  #sectionOf = new Map();
  #ids = new Set();

  /**
   * @param menu as loadMenu returns it
   * @param chosen the ids of the chosen sections; empty: all are shown
   */
  constructor(menu = [], chosen = []) {
    for (const { id, dishes } of menu) {
      this.#ids.add(id);
      // A dish's two names, and both together, because some producers write them so.
      for (const { names } of dishes) for (const name of [...names, names.join(" ")]) this.#sectionOf.set(sameName(name), id);
    }
    this.#chosen = new Set(chosen.filter((id) => this.#ids.has(id)));
  }

  /** The ids of the chosen sections; empty: all are shown. */
  get chosen() {
    return [...this.#chosen];
  }

  /** The choice with this section added, or removed if it was chosen: the ids, to be stored. */
  with(id) {
    const chosen = new Set(this.#chosen);
    if (!chosen.delete(id)) chosen.add(id);
    return [...chosen];
  }

  /** Whether a line of an order is made here. */
  makes({ name }) {
    const section = this.#sectionOf.get(sameName(name));
    return this.#chosen.size === 0 || section === undefined || this.#chosen.has(section);
  }

  /**
   * Whether this screen shows an order: something of it is made here, or was until a change that nobody has seen.
   *
   * @param order the order
   * @param marks that change, as Seen.of returns it, or null
   * @returns true or false
   */
  shows(order, marks = null) {
    const lines = [...order.items, ...(marks?.lines ?? []).map(({ was }) => was).filter((was) => was !== null)];
    return lines.some((item) => this.makes(item));
  }
}
