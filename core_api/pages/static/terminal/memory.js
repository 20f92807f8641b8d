// What this terminal remembers of orders over a reload: those closed lately, what was seen, which lines are done.

import { Ledger } from "../shared/ledger.js";
import { ofBrowser } from "../shared/storage.js";
import { Seen } from "./board/changes.js";
import { Bumped } from "./kitchen/bumped.js";

/** The orders as they are known here; all tabs of a terminal remember the same. */
export class Memory {
  #name;
  #ledger;
  #seen;
  #bumped;
  #changed;

  /** @param name begins the keys in the browser @param changed called when another tab has seen something */
  constructor(name, changed) {
    this.#name = name;
    this.#changed = changed;
    this.#ledger = new Ledger(ofBrowser.readJson(`${name}.closed`) ?? []);
    this.#seen = new Seen(ofBrowser.readJson(`${name}.seen`) ?? []);
    this.#bumped = new Bumped(ofBrowser.readJson(`${name}.bumped`) ?? []);
  }

  /** Listens to other tabs until `signal`. */
  start(signal) {
    addEventListener("storage", ({ key }) => this.#heard(key), { signal });
  }

  /** All orders, oldest first, as Core has them. */
  get orders() {
    return this.#ledger.all();
  }

  /** The order as far as known. */
  get(id) {
    return this.#ledger.get(id);
  }

  /**
   * Takes in what the client tells.
   *
   * @param cancels (id) → whether this terminal is about to cancel the order
   */
  take({ orders, changes }, cancels) {
    this.#ledger.take({ orders, changes }, Date.now());
    if (changes.length > 0) ofBrowser.writeJson(`${this.#name}.closed`, this.#ledger.closed);
    this.#look(cancels);
  }

  /** Takes in an order as Core answered it, after a step of this terminal's. */
  put(order) {
    // Who cancels an order need not be told of it.
    if (order.status === "cancelled") this.acknowledge(order);
    this.#ledger.put(order, Date.now());
    this.#look(() => false);
  }

  /** What nobody has seen of the order, as Seen.of. */
  marksOf({ id }) {
    const order = this.get(id);
    return order === undefined ? null : this.#seen.of(order);
  }

  /** Somebody has seen the order as it is now. */
  acknowledge(order) {
    this.#seen.acknowledge(this.get(order.id)?.version > order.version ? this.get(order.id) : order);
    this.#keepSeen();
  }

  /** How far the kitchen had come with it, or null. */
  startedOf(id) {
    return this.#seen.startedOf(id);
  }

  /** Which lines of the order are done. */
  bumpedOf(order) {
    return this.#bumped.of(order);
  }

  /** A line of the order is done, or no longer. */
  bump(order, line) {
    this.#bumped.toggle(order, line);
    ofBrowser.writeJson(`${this.#name}.bumped`, this.#bumped.kept);
  }

  #look(cancels) {
    const { orders } = this;
    if (this.#seen.take(orders, cancels)) this.#keepSeen();
    this.#bumped.trim(new Set(orders.map(({ id }) => id)));
  }

  #keepSeen() {
    ofBrowser.writeJson(`${this.#name}.seen`, this.#seen.kept);
  }

  #heard(key) {
    if (key === `${this.#name}.seen`) this.#seen = new Seen(ofBrowser.readJson(key) ?? []);
    else if (key === `${this.#name}.bumped`) this.#bumped = new Bumped(ofBrowser.readJson(key) ?? []);
    else return;
    this.#changed();
  }
}
