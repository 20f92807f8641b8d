// What all open orders come to, and which of them somebody looks for. Pure.

import { orderNumber } from "../../shared/format.js";
import { sameName } from "../../shared/names.js";
import { isToBeMade } from "../../shared/statuses.js";

/**
 * How many of each dish are still to be made: [{name, count}], most first.
 *
 * @param bumpedOf (order) → which of its lines are done
 * @param {(item: any) => boolean} makes whether it is made here
 */
export function allDay(orders, bumpedOf, makes = () => true) {
  const found = new Map();
  for (const order of orders) {
    if (!isToBeMade(order)) continue;
    const done = bumpedOf(order);
    order.items.forEach((item, line) => {
      if (done.has(line) || !makes(item)) return;
      const { name, quantity } = item;
      const known = found.get(sameName(name)) ?? { name, count: 0 };
      known.count += quantity;
      found.set(sameName(name), known);
    });
  }
  return [...found.values()].sort((a, b) => b.count - a.count || a.name.localeCompare(b.name));
}

/** Whether the order has all words of the query: in its number, table, guest, dishes or notes. */
export function matches(order, query) {
  const words = sameName(query).split(" ").filter((word) => word !== "");
  if (words.length === 0) return true;
  const texts = [
    orderNumber(order), order.table_id ?? "", order.guest?.name ?? "", order.guest?.phone ?? "", order.note,
    ...order.items.flatMap(({ name, note }) => [name, note ?? ""]),
  ];
  const all = sameName(texts.join(" "));
  return words.every((word) => all.includes(word));
}
