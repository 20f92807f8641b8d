// The order book: each channel's open orders as they stand now, and their digest. Pure.
//
// As client_sdk/orders.py, less what only the buffered start needs: an older version never
// overwrites a newer one, and an order that was closed does not come back by a late event.

import { channelOf, formatDigest, isOpen, orderHash } from "./contract.js";

/** How many closed orders a channel remembers; beyond it, the digest would show a mistake. */
const MAX_CLOSED = 1000;

/** Every method that changes the book gives the changes: {kind, channel, id, order}. */
export class OrderBook {
  #channels = new Map();
  #digests = new Map();
  #closed = new Map();
  #changes = [];

  /** Takes in an event. */
  apply(event) {
    this.#put(channelOf(event), event.data, false);
    return this.#told();
  }

  /** The channel's open orders are these and no others. */
  replace(channel, orders) {
    const fresh = new Map(orders.map((order) => [order.id, order]));
    this.#closed.delete(channel);
    for (const id of [...this.#orders(channel).keys()]) {
      if (!fresh.has(id)) this.#remove(channel, id, null);
    }
    for (const order of fresh.values()) this.#put(channel, order, true);
    return this.#told();
  }

  /** The digest of the channel's open orders as 16 hex digits, to be compared at the head. */
  digest(channel) {
    return formatDigest(this.#digests.get(channel) ?? 0n);
  }

  /** An open order by its id, or undefined. */
  get(id) {
    const views = this.#names().map((name) => this.#channels.get(name).get(id));
    return views.filter(Boolean).reduce(better, undefined);
  }

  /** The channel's open orders, oldest first. */
  inChannel(channel) {
    return [...this.#orders(channel).values()].sort(byAge);
  }

  /** All open orders, oldest first; one that two channels show is one order. */
  all() {
    return allOf(this.#names().map((name) => [...this.#channels.get(name).values()]));
  }

  #names() {
    return [...this.#channels.keys()].sort();
  }

  #orders(channel) {
    if (!this.#channels.has(channel)) this.#channels.set(channel, new Map());
    return this.#channels.get(channel);
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
    if (known) this.#toggle(channel, known);
    orders.set(order.id, order);
    this.#toggle(channel, order);
    this.#changes.push({ kind: known ? "updated" : "added", channel, id: order.id, order });
  }

  #remove(channel, id, order) {
    const known = this.#orders(channel).get(id);
    if (!known) return;
    this.#orders(channel).delete(id);
    this.#toggle(channel, known);
    this.#changes.push({ kind: "removed", channel, id, order });
  }

  #bury(channel, order) {
    if (!this.#closed.has(channel)) this.#closed.set(channel, new Map());
    const closed = this.#closed.get(channel);
    closed.set(order.id, order.version);
    if (closed.size > MAX_CLOSED) closed.delete(closed.keys().next().value);
  }

  #toggle(channel, order) {
    const before = this.#digests.get(channel) ?? 0n;
    this.#digests.set(channel, before ^ orderHash(order.id, order.version));
  }

  #told() {
    const changes = this.#changes;
    this.#changes = [];
    return changes;
  }
}

/** The orders of several channels' lists, each once, oldest first. */
export function allOf(lists) {
  const found = new Map();
  for (const order of lists.flat()) found.set(order.id, better(found.get(order.id), order));
  return [...found.values()].sort(byAge);
}

/** Of two channels' views the newer; at the same version the owner's, which tells more. */
function better(one, other) {
  if (one === undefined) return other;
  if (one.version !== other.version) return one.version > other.version ? one : other;
  return one.placed_by !== undefined ? one : other;
}

/** Older orders first; of the same age, by id. */
export function byAge(a, b) {
  const apart = Date.parse(a.created_at) - Date.parse(b.created_at);
  if (apart !== 0) return apart;
  // Date knows milliseconds only; texts of one writer tell what is below them.
  const [one, other] = [a, b].map((order) => order.created_at.replace("Z", "+"));
  if (one !== other) return one < other ? -1 : 1;
  return a.id < b.id ? -1 : Number(a.id > b.id);
}

/** Whether two values of JSON are equal; the order of keys says nothing. */
function same(a, b) {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => same(a[key], b[key]));
}
