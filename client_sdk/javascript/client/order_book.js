// The order book: each channel's current open orders, and their digests. Pure.
//
// As client_sdk/client/order_book.py, without the parts for the buffered start: an older version never
// overwrites a newer one, and a late event does not reopen a closed order.

import {
  channelOf,
  contentHash,
  formatContentDigest,
  formatDigest,
  isOpen,
  orderHash,
} from "../contract/contract.js";
import { MAX_CLOSED } from "../contract/contract_lists.js";

/** @typedef {import("../types.js").Order} Order */
/** @typedef {import("../types.js").OrderChange} OrderChange */

/** Every method that changes the book returns the changes: {kind, channel, id, order}. */
export class OrderBook {
  /** @type {Map<string, Map<string, Order>>} */
  #channels = new Map();
  #digests = new Map();
  #contents = new WeakMap();
  #closed = new Map();
  #changes = /** @type {OrderChange[]} */ ([]);

  /**
   * Applies an event.
   *
   * @param {any} event an order's, as checkEvent accepts it
   * @returns the changes; empty: the book has it, or something newer
   */
  apply(event) {
    this.#put(channelOf(event), event.data, false);
    return this.#told();
  }

  /**
   * Replaces the channel's open orders by these.
   *
   * @param {string} channel its full name, such as `store:12`
   * @param {Order[]} orders those of a snapshot
   * @returns the changes
   */
  replace(channel, orders) {
    const fresh = new Map(orders.map((order) => [order.id, order]));
    this.#closed.delete(channel);
    for (const id of [...this.#orders(channel).keys()]) {
      if (!fresh.has(id)) this.#remove(channel, id, null);
    }
    for (const order of fresh.values()) this.#put(channel, order, true);
    return this.#told();
  }

  /**
   * The older digest of the channel's open orders, to be compared at the head.
   *
   * @param {string} channel its full name
   * @returns {string} 16 lower-case hex digits
   */
  digest(channel) {
    return formatDigest(this.#digestsOf(channel).versions);
  }

  /**
   * The content digest of the channel's open orders, to be compared at the head.
   *
   * @param {string} channel its full name
   * @returns {string | null} 32 lower-case hex digits; null while one of the orders has an invalid value
   */
  contentDigest(channel) {
    const { contents, unknown } = this.#digestsOf(channel);
    return unknown > 0 ? null : formatContentDigest(contents);
  }

  /**
   * An open order by its id, or undefined.
   *
   * @param {string} id the order's id
   * @returns {Order | undefined}
   */
  get(id) {
    const views = this.#names().map((name) => this.#orders(name).get(id));
    return views.filter(Boolean).reduce(better, undefined);
  }

  /**
   * Whether the book has had this version of the order or a later one, open or closed.
   *
   * @param {string} id the order's id
   * @param {number} version the order's version
   */
  hasTaken(id, version) {
    if ((this.get(id)?.version ?? 0) >= version) return true;
    return [...this.#closed.values()].some((closed) => (closed.get(id) ?? 0) >= version);
  }

  /**
   * The channel's open orders, oldest first.
   *
   * @param {string} channel its full name
   */
  inChannel(channel) {
    return [...this.#orders(channel).values()].sort(byAge);
  }

  /** All open orders, oldest first; an order in two channels is one order. */
  all() {
    return allOf(this.#names().map((name) => [...this.#orders(name).values()]));
  }

  #names() {
    return [...this.#channels.keys()].sort();
  }

  /**
   * @param {string} channel
   * @returns {Map<string, Order>}
   */
  #orders(channel) {
    const orders = this.#channels.get(channel) ?? new Map();
    this.#channels.set(channel, orders);
    return orders;
  }

  #put(channel, order, force) {
    const orders = this.#orders(channel);
    const known = orders.get(order.id);
    const closed = this.#closed.get(channel);
    if (closed && (closed.get(order.id) ?? 0) >= order.version) return;
    if (known && known.version >= order.version && !force) return;
    if (known && same(known, order)) return;
    if (!isOpen(order)) {
      this.#bury(channel, order);
      this.#remove(channel, order.id, order);
      return;
    }
    if (known) this.#count(channel, known, -1);
    orders.set(order.id, order);
    this.#count(channel, order, 1);
    this.#changes.push({ kind: known ? "updated" : "added", channel, id: order.id, order });
  }

  #remove(channel, id, order) {
    const known = this.#orders(channel).get(id);
    if (!known) return;
    this.#orders(channel).delete(id);
    this.#count(channel, known, -1);
    this.#changes.push({ kind: "removed", channel, id, order });
  }

  #bury(channel, order) {
    if (!this.#closed.has(channel)) this.#closed.set(channel, new Map());
    const closed = this.#closed.get(channel);
    closed.set(order.id, order.version);
    if (closed.size > MAX_CLOSED) closed.delete(closed.keys().next().value);
  }

  #digestsOf(channel) {
    return this.#digests.get(channel) ?? { versions: 0n, contents: 0n, unknown: 0 };
  }

  // Adds the order to both digests, or removes it by a second XOR.
  #count(channel, order, sign) {
    const digests = this.#digestsOf(channel);
    if (sign > 0) this.#contents.set(order, contentHash(order));
    const content = this.#contents.get(order);
    this.#digests.set(channel, {
      versions: digests.versions ^ orderHash(order.id, order.version),
      contents: digests.contents ^ (content ?? 0n),
      unknown: digests.unknown + (content === null ? sign : 0),
    });
  }

  #told() {
    const changes = this.#changes;
    this.#changes = [];
    return changes;
  }
}

/**
 * The orders of several channels' lists, each once, oldest first.
 *
 * @param {Order[][]} lists one for each channel
 * @returns {Order[]} each in its newest version
 */
export function allOf(lists) {
  const found = new Map();
  for (const order of lists.flat()) found.set(order.id, better(found.get(order.id), order));
  return [...found.values()].sort(byAge);
}

/** The newer of two channels' views of an order; at the same version the owner's, with more data. */
function better(one, other) {
  if (one === undefined) return other;
  if (one.version !== other.version) return one.version > other.version ? one : other;
  return one.placed_by !== undefined ? one : other;
}

/**
 * Compares for a sort: older orders first; of the same age, by id.
 *
 * @param {Order} a one order
 * @param {Order} b another one
 */
export function byAge(a, b) {
  const apart = Date.parse(a.created_at) - Date.parse(b.created_at);
  if (apart !== 0) return apart;
  // Date has milliseconds only; below them, texts of one writer can be compared.
  const [one, other] = [a, b].map((order) => order.created_at.replace("Z", "+"));
  if (one !== other) return one < other ? -1 : 1;
  return a.id < b.id ? -1 : Number(a.id > b.id);
}

/** Whether two JSON values are equal; the order of keys does not matter. */
function same(a, b) {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => same(a[key], b[key]));
}
