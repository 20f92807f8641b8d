// Which lines of an order are done ("bumped", as kitchen displays call it): people mark them on this device. Pure.

const signature = ({ items }) => JSON.stringify(items.map(({ name, quantity, note }) => [name, quantity, note]));
const NONE = new Set();

/** The lines that are done, per order. */
export class Bumped {
  #orders;

  /** @param kept the value of `kept` before a reload */
  constructor(kept = []) {
    this.#orders = new Map(kept.map(([id, { of, lines }]) => [id, { of, lines: new Set(lines) }]));
  }

  /** What is to be stored for a reload. */
  get kept() {
    return [...this.#orders].map(([id, { of, lines }]) => [id, { of, lines: [...lines] }]);
  }

  /** The lines of the order that are done, as a Set of positions; empty once the order's lines have changed. */
  of(order) {
    const known = this.#orders.get(order.id);
    return known?.of === signature(order) ? known.lines : NONE;
  }

  /**
   * Marks a line as done, or as not done if it was.
   *
   * @param order the order
   * @param line the line's position, from 0
   */
  toggle(order, line) {
    const lines = new Set(this.of(order));
    if (!lines.delete(line)) lines.add(line);
    this.#orders.set(order.id, { of: signature(order), lines });
  }

  /** Forgets all orders but these; `ids` is a Set. */
  trim(ids) {
    for (const id of [...this.#orders.keys()]) if (!ids.has(id)) this.#orders.delete(id);
  }
}
