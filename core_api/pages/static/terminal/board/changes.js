// What has changed in an order since the kitchen last looked at it. Pure.
//
// An order that is changed or cancelled while it is being made is marked until somebody says that they have seen it.
// For each order the version that was seen is kept: its lines, its note and its status.

import { isUnderWay } from "../../shared/statuses.js";

/**
 * Compares an order's lines with those of before.
 *
 * @param before the earlier lines, as items of an order
 * @param after the lines of now
 * @returns the lines as [{kind, item, was}]: `kind` is same, changed, added or removed; `item` is the line of now and
 *   `was` the earlier one, null where there is none
 */
export function linesOf(before, after) {
  const left = [...before];
  const take = (test) => {
    const index = left.findIndex(test);
    return index < 0 ? null : left.splice(index, 1)[0];
  };
  const matched = after.map((item) => ({ item, was: take((old) => sameLine(old, item)) }));
  for (const line of matched) {
    line.was ??= take((old) => old.name === line.item.name && old.note === line.item.note);
  }
  for (const line of matched) line.was ??= take((old) => old.name === line.item.name);
  return [
    ...matched.map(({ item, was }) => ({ kind: kindOf(was, item), item, was })),
    ...left.map((was) => ({ kind: "removed", item: null, was })),
  ];
}

const sameLine = (a, b) => a.name === b.name && a.note === b.note && a.quantity === b.quantity;

function kindOf(was, item) {
  if (was === null) return "added";
  return sameLine(was, item) ? "same" : "changed";
}

/** What people have seen of the orders. */
export class Seen {
  #orders;

  /** @param kept the value of `kept` before a reload */
  constructor(kept = []) {
    this.#orders = new Map(kept);
  }

  /** What is to be stored for a reload. */
  get kept() {
    return [...this.#orders];
  }

  /**
   * Takes in the orders, and forgets all others.
   *
   * @param orders all that are known, as Core has them
   * @param {(id: string) => boolean} cancels whether this terminal is cancelling the order: then its people know of
   *   that
   * @returns whether `kept` has changed
   */
  take(orders, cancels = () => false) {
    const before = JSON.stringify(this.kept);
    const ids = new Set(orders.map((order) => order.id));
    for (const id of [...this.#orders.keys()]) if (!ids.has(id)) this.#orders.delete(id);
    for (const order of orders) this.#look(order, order.status === "cancelled" && cancels(order.id));
    return JSON.stringify(this.kept) !== before;
  }

  /** Notes that somebody has seen the order as it is now. */
  acknowledge(order) {
    this.#keep(order);
  }

  /** The last status that the order is known to have had while it was under way, or null. */
  startedOf(id) {
    return this.#orders.get(id)?.started ?? null;
  }

  /**
   * What nobody has seen yet of an order.
   *
   * @param order the order
   * @returns null, or {kind, lines, note, status}: `kind` is changed or cancelled; `lines` are as linesOf returns
   *   them; `note` is {was, now}, or null if it is the same; `status` is the one of now, or the one before it was
   *   cancelled
   */
  of(order) {
    const seen = this.#orders.get(order.id);
    if (seen === undefined || !isUnderWay(seen)) return null;
    const lines = linesOf(seen.items, order.items);
    const note = seen.note === order.note ? null : { was: seen.note, now: order.note };
    if (order.status === "cancelled") return { kind: "cancelled", lines, note, status: seen.status };
    const isSame = note === null && lines.every(({ kind }) => kind === "same");
    return isSame || !isUnderWay(order) ? null : { kind: "changed", lines, note, status: order.status };
  }

  #look(order, isSeen) {
    const seen = this.#orders.get(order.id);
    if (seen === undefined || isSeen || this.of(order) === null) {
      this.#keep(order);
    } else if (isUnderWay(order) && order.status !== seen.status) {
      this.#orders.set(order.id, { ...seen, status: order.status, started: order.status });
    }
  }

  #keep(order) {
    const started = isUnderWay(order) ? order.status : this.startedOf(order.id);
    this.#orders.set(order.id, { ...contentOf(order), started });
  }
}

const contentOf = ({ status, note, items }) => ({
  status,
  note,
  items: items.map(({ name, quantity, note: own }) => ({ name, quantity, note: own })),
});
