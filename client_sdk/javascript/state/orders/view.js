// Orders as they are shown: Core's, with this client's unanswered commands on top. Pure.
//
// As client_sdk/state/orders/view.py. `own` is what this client knows about orders in addition to Core's log,
// {entries, known, ahead, errors, placed}: the unanswered commands, in order; orders from Core's answers, until
// they arrive through the log; the same from a later log, until the client follows that log; why the last
// command was refused (these three by the id that the order is shown under); and the ids of placed orders, by
// the keys that they were shown under before.

import { isOpen } from "../../contract/contract.js";
import { CLOSED_STATUSES } from "../../contract/contract_lists.js";
import { itemsOf, newOrder, totalOf } from "./commands.js";

/** The knowledge of a client without commands. */
export const NO_COMMANDS = { entries: [], known: {}, ahead: {}, errors: {}, placed: {} };

/** The id that the command's order is shown under. */
export const shownAs = ({ order, key }) => order ?? key;

/**
 * All orders to show: Core's open ones, and those not placed yet, each {order, pending, leftOut, error, after}.
 * An order that a pending command closes is shown until Core has answered.
 *
 * @param {import("../../types.js").Order[]} orders Core's open ones
 * @param {any} own what this client knows in addition, as above
 * @returns {import("../../types.js").ShownOrder[]}
 */
export function shownOrders(orders, own) {
  const core = newest(orders, own);
  const ids = new Set([...core.keys(), ...own.entries.map(shownAs)]);
  const all = [...ids].map((id) => shownOrder(core.get(id) ?? null, id, own));
  return all.filter((one) => one !== null).filter((one) => one.pending > 0 || isOpen(one.order));
}

/**
 * Core's orders by their ids, each in the newest version known.
 *
 * @param orders those of the log
 * @param own what this client knows in addition, as above
 */
export function newest(orders, { known, ahead = {} }) {
  const core = new Map(orders.map((order) => [order.id, order]));
  for (const [id, order] of Object.entries(known)) {
    if (!core.has(id) || core.get(id).version < order.version) core.set(id, order);
  }
  // Versions of two logs cannot be compared: the later log wins. A leading tab of an earlier release sends no
  // `ahead`.
  for (const [id, order] of Object.entries(ahead)) core.set(id, order);
  return core;
}

/**
 * One order as it is shown: {order, pending, leftOut, error, after}; null: there is none, as far as is
 * known. `order.version` is Core's below the pending commands, 0: Core does not have it yet, and its id
 * changes when Core does; `leftOut`: pending commands that do not fit it any more, and are sent all the
 * same; `error`: why the last command was refused, until there is another one; `after`: the place of this
 * client's last command that is applied to it.
 *
 * @param {import("../../types.js").Order | null} core Core's, as the newest that is known of it; null: it does not have it
 * @param {string} id the id that it is shown under
 * @param {any} own what this client knows in addition, as above
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

/** The order after the command; null: the command does not fit the current order. */
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
