// What is shown of orders: Core's, with this client's commands that are not answered on top. Pure.
//
// As client_sdk/state/orders/view.py. `own` is what this client knows of orders beside Core's log:
// {entries, known, ahead, errors, placed}: the commands that are not answered, in order; orders as Core's
// answers gave them until its log has brought them here; the same of a later log than the one that is
// followed, until that begins here; why the last command was refused: these three by the id that the order is
// shown under; and the ids of orders, by the keys that they were shown under.

import { isOpen } from "../../contract/contract.js";
import { CLOSED_STATUSES } from "../../contract/contract_lists.js";
import { itemsOf, newOrder, totalOf } from "./commands.js";

/** What this client knows that has done nothing. */
export const NO_COMMANDS = { entries: [], known: {}, ahead: {}, errors: {}, placed: {} };

/** The id that the command's order is shown under. */
export const shownAs = ({ order, key }) => order ?? key;

/**
 * All that is shown: Core's open orders, and those that are not placed yet, each {order, pending, leftOut,
 * error, after}. An order that a pending command closes stays until Core has answered.
 *
 * @param {import("../../types.js").Order[]} orders
 * @param {any} own
 * @returns {import("../../types.js").ShownOrder[]}
 */
export function shownOrders(orders, own) {
  const core = newest(orders, own);
  const ids = new Set([...core.keys(), ...own.entries.map(shownAs)]);
  const all = [...ids].map((id) => shownOrder(core.get(id) ?? null, id, own));
  return all.filter((one) => one !== null).filter((one) => one.pending > 0 || isOpen(one.order));
}

/** Core's orders by their ids, each as the newest that is known of it. */
export function newest(orders, { known, ahead = {} }) {
  const core = new Map(orders.map((order) => [order.id, order]));
  for (const [id, order] of Object.entries(known)) {
    if (!core.has(id) || core.get(id).version < order.version) core.set(id, order);
  }
  // Versions of two logs cannot be compared; the later log is what holds. A tab of an earlier release that leads
  // says nothing of it.
  for (const [id, order] of Object.entries(ahead)) core.set(id, order);
  return core;
}

/**
 * One order as it is shown: {order, pending, leftOut, error, after}; null: there is none, as far as is
 * known. `order.version` is Core's below the pending commands, 0: Core does not have it yet, and its id
 * changes when Core does; `leftOut`: pending commands that do not fit it any more, and are sent all the
 * same; `error`: why the last command was refused, until there is another one; `after`: the last of this
 * client's commands that is in it.
 *
 * @param {import("../../types.js").Order | null} core Core's, as the newest that is known of it; null: it does not have it
 * @param {string} id
 * @param {any} own
 * @returns {import("../../types.js").ShownOrder | null}
 */
export function shownOrder(core, id, own) {
  const commands = own.entries.filter((entry) => shownAs(entry) === id);
  let [order, leftOut, after] = [core, 0, /** @type {number | null} */ (null)];
  for (const command of commands) {
    const made = orderAfter(order, command);
    if (made === null) leftOut += 1;
    else [order, after] = [made, command.id];
  }
  if (order === null) return null;
  return { order, pending: commands.length, leftOut, error: own.errors[id] ?? null, after };
}

/** The order after the command; null: it does not fit what is there by now. */
function orderAfter(order, command) {
  const { kind, body, version, updated_at: updatedAt = null, status } = command;
  if (kind === "place") return newOrder(command);
  if (order === null || order.status !== status) return null;
  if (kind === "transition") {
    const open = !CLOSED_STATUSES.includes(body.to);
    return { ...order, status: body.to, reason: body.reason ?? null, open };
  }
  if (version !== null && version !== order.version) return null;
  if (updatedAt !== null && updatedAt !== order.updated_at) return null;
  const items = body.items === undefined ? {} : { items: itemsOf(body.items), total: totalOf(body.items) };
  return { ...order, ...items, ...(body.note === undefined ? {} : { note: body.note }) };
}
