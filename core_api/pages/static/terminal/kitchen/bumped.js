// Which lines of an order are done, on this device. Pure.

const signature = ({ items }) => JSON.stringify(items.map(({ name, quantity, note }) => [name, quantity, note]));
const NONE = new Set();

/** The lines that are done, per order. */
export class Bumped {
  #orders;

  /** @param kept what `kept` gave before a reload */
  constructor(kept = []) {
    this.#orders = new Map(kept.map(([id, { of, lines }]) => [id, { of, lines: new Set(lines) }]));
  }

  /** What is to be kept over a reload. */
  get kept() {
    return [...this.#orders].map(([id, { of, lines }]) => [id, { of, lines: [...lines] }]);
  }

  /** The lines of the order that are done; none once its lines have changed. */
  of(order) {
    const known = this.#orders.get(order.id);
    return known?.of === signature(order) ? known.lines : NONE;
  }

  /** A line is done, or no longer. */
  toggle(order, line) {
    const lines = new Set(this.of(order));
    if (!lines.delete(line)) lines.add(line);
    this.#orders.set(order.id, { of: signature(order), lines });
  }

  /** Forgets all orders but these ids. */
  trim(ids) {
    for (const id of [...this.#orders.keys()]) if (!ids.has(id)) this.#orders.delete(id);
  }
}
