// What this terminal remembers of orders over a reload: those closed recently, what was seen, and which lines are
// done.

import { Ledger } from "../shared/ledger.js";
import { ofBrowser } from "../shared/storage.js";
import { Seen } from "./board/changes.js";
import { Bumped } from "./kitchen/bumped.js";

/** The orders as this terminal knows them. All its tabs remember the same. */
export class Memory {
  #name;
  #ledger;
  #seen;
  #bumped;
  #changed;

  /**
   * @param name the beginning of the keys in the browser's storage
   * @param changed called when another tab has stored something
   */
  constructor(name, changed) {
    this.#name = name;
    this.#changed = changed;
    this.#ledger = new Ledger(ofBrowser.readJson(`${name}.closed`) ?? []);
    this.#seen = new Seen(ofBrowser.readJson(`${name}.seen`) ?? []);
    this.#bumped = new Bumped(ofBrowser.readJson(`${name}.bumped`) ?? []);
  }

  /** Listens for what other tabs store, until `signal` is aborted. */
  start(signal) {
    addEventListener("storage", ({ key }) => this.#storageChanged(key), { signal });
  }

  /** All orders, oldest first, as Core has them. */
  get orders() {
    return this.#ledger.all();
  }

  /** The newest known version of the order, or undefined. */
  get(id) {
    return this.#ledger.get(id);
  }

  /**
   * Takes in what the client reports.
   *
   * @param news `orders`: all open ones; `changes`: what has changed since the last report
   * @param cancels (id) → whether this terminal is cancelling the order
   */
  take({ orders, changes }, cancels) {
    this.#ledger.take({ orders, changes }, Date.now());
    if (changes.length > 0) ofBrowser.writeJson(`${this.#name}.closed`, this.#ledger.closed);
    this.#compare(cancels);
  }

  /** Takes in an order of Core's answer to an action of this terminal. */
  put(order) {
    // The person who cancels an order need not be told of it.
    if (order.status === "cancelled") this.acknowledge(order);
    this.#ledger.put(order, Date.now());
    this.#compare(() => false);
  }

  /** What nobody has seen of the order, as Seen.of returns it. */
  marksOf({ id }) {
    const order = this.get(id);
    return order === undefined ? null : this.#seen.of(order);
  }

  /** Notes that somebody has seen the order as it is now. */
  acknowledge(order) {
    this.#seen.acknowledge(this.get(order.id)?.version > order.version ? this.get(order.id) : order);
    this.#keepSeen();
  }

  /** The last status that the order is known to have had while it was under way, or null. */
  startedOf(id) {
    return this.#seen.startedOf(id);
  }

  /** Which lines of the order are done: a Set of their positions. */
  bumpedOf(order) {
    return this.#bumped.of(order);
  }

  /**
   * Marks a line of the order as done, or as not done if it was.
   *
   * @param order the order
   * @param line the line's position, from 0
   */
  bump(order, line) {
    this.#bumped.toggle(order, line);
    ofBrowser.writeJson(`${this.#name}.bumped`, this.#bumped.kept);
  }

  #compare(cancels) {
    const { orders } = this;
    if (this.#seen.take(orders, cancels)) this.#keepSeen();
    this.#bumped.trim(new Set(orders.map(({ id }) => id)));
  }

  #keepSeen() {
    ofBrowser.writeJson(`${this.#name}.seen`, this.#seen.kept);
  }

  #storageChanged(key) {
    if (key === `${this.#name}.seen`) this.#seen = new Seen(ofBrowser.readJson(key) ?? []);
    else if (key === `${this.#name}.bumped`) this.#bumped = new Bumped(ofBrowser.readJson(key) ?? []);
    else return;
    this.#changed();
  }
}
