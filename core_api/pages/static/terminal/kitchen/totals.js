// How many of each dish all open orders need, and which orders a search finds. Pure.

import { orderNumber } from "../../shared/format.js";
import { sameName } from "../../shared/names.js";
import { isToBeMade } from "../../shared/statuses.js";

/**
 * Counts the dishes that are still to be made.
 *
 * @param orders those that this screen shows
 * @param bumpedOf (order) → its lines that are done, as a Set of positions
 * @param {(item: any) => boolean} makes whether an item is made here
 * @returns the dishes as [{name, count}], the greatest count first
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

/**
 * Whether a search finds the order.
 *
 * @param order the order
 * @param query words; each must be in the order's number, table, guest, dishes or notes. Without words all are found
 * @returns true or false
 */
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
