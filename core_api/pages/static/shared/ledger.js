// All orders that a page shows: the open ones, those closed recently, and those from Core's answers whose events have
// not arrived yet. Pure.

const MAX_CLOSED = 30;
const CLOSED_FOR_MS = 3 * 3_600_000;
const ANSWER_FOR_MS = 60_000;

/** The newest known version of each order. */
export class Ledger {
  #open = new Map();
  #closed = new Map();
  #answers = new Map();

  /** @param closed the value of `closed` before a reload */
  constructor(closed = []) {
    for (const entry of closed) this.#closed.set(entry.order.id, entry);
  }

  /**
   * Takes in what the client reports.
   *
   * @param news `orders`: all open ones; `changes`: what has changed since the last report, as YabamClient reports it
   * @param now the time, in milliseconds since 1970
   */
  take({ orders, changes }, now) {
    this.#open = new Map(orders.map((order) => [order.id, order]));
    for (const { kind, order } of changes) {
      if (kind === "removed" && order) this.#close(order, now);
    }
    for (const [id, { order, at }] of this.#answers) {
      const known = this.#open.get(id) ?? this.#closed.get(id)?.order;
      // An order whose event does not arrive within this time is dropped: its change was lost by a restore.
      const late = now - at > ANSWER_FOR_MS;
      if (late || (known && known.version >= order.version)) this.#answers.delete(id);
    }
    this.#trim(now);
  }

  /**
   * Takes in an order that came with an answer of Core.
   *
   * @param order the order
   * @param now the time, in milliseconds since 1970
   */
  put(order, now) {
    const known = this.get(order.id);
    if (!known || known.version < order.version) this.#answers.set(order.id, { order, at: now });
  }

  /** The newest known version of the order, or undefined. */
  get(id) {
    return this.#answers.get(id)?.order ?? this.#open.get(id) ?? this.#closed.get(id)?.order;
  }

  /** All orders, oldest first. */
  all() {
    const ids = new Set([...this.#open.keys(), ...this.#closed.keys(), ...this.#answers.keys()]);
    return [...ids].map((id) => this.get(id)).sort(byAge);
  }

  /** The recently closed orders, to be stored for a reload: [{order, at}]. */
  get closed() {
    return [...this.#closed.values()];
  }

  #close(order, now) {
    this.#closed.delete(order.id);
    this.#closed.set(order.id, { order, at: now });
  }

  #trim(now) {
    for (const [id, { at }] of this.#closed) {
      const many = this.#closed.size > MAX_CLOSED;
      if (many || now - at > CLOSED_FOR_MS || this.#open.has(id)) this.#closed.delete(id);
    }
  }
}

function byAge(a, b) {
  if (a.created_at !== b.created_at) return a.created_at < b.created_at ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}
