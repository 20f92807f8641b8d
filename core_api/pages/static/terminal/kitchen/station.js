// What this screen shows of the orders: those parts of the menu that are made where it hangs. Pure.
//
// What no menu knows is shown on every screen, for no order may be on none.

import { sameName } from "../../shared/names.js";

/** A choice of sections of the menu. */
export class Station {
  #chosen;
  #sectionOf = new Map();
  #ids = new Set();

  /** @param menu as menu.js gives it @param chosen the ids of its sections; none: all that there are */
  constructor(menu = [], chosen = []) {
    for (const { id, dishes } of menu) {
      this.#ids.add(id);
      // Both of its names, together as well: producers write them so.
      for (const { names } of dishes) for (const name of [...names, names.join(" ")]) this.#sectionOf.set(sameName(name), id);
    }
    this.#chosen = new Set(chosen.filter((id) => this.#ids.has(id)));
  }

  /** The ids of the sections that were chosen; none: all are shown. */
  get chosen() {
    return [...this.#chosen];
  }

  /** The choice with that section in it, or no longer: ids, to be kept. */
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
   * Whether something of the order is made here, or was until a change that nobody has seen.
   *
   * @param marks as Seen.of
   */
  shows(order, marks = null) {
    const lines = [...order.items, ...(marks?.lines ?? []).map(({ was }) => was).filter((was) => was !== null)];
    return lines.some((item) => this.makes(item));
  }
}
