// Order commands in the queue: what a program asks for, and how it is stored. Pure.
//
// As client_sdk/state/orders/commands.py. Edits and commands of one client share one queue: each has a place,
// and is sent only after all before it are answered. Core does a command once because of its Idempotency-Key,
// which is created with the command and never changes.
//
// A command is kept as {id, key, kind, body, order, version, updated_at, status, after, made_at, sent_at}:
//     id        its place in the queue, among the edits
//     key       its Idempotency-Key; an order that is not placed yet is shown under that of its command
//     kind      "place", "transition" or "change", and `body` the request's body
//     order     the order's id, or the key of the command that places it; null: it places one
//     version   Core does it at this version only; null: as the command `after` leaves the order
//     updated_at  when Core made that version, for after a restore another content may have its number; null: not
//               known, as in what was kept before there was this
//     status    what its author saw
//     after     the own command that it was made on, while that is not answered
//     made_at   by Core's clock; null: not known
//     sent_at   when it was sent first; null: never

import { ContractError, checkOrder } from "../../contract/contract.js";
import { MAX_COMMAND_BYTES, STATUSES } from "../../contract/contract_lists.js";
import { bytesOf } from "../../contract/state/edit.js";
import { StateError, shown } from "../../contract/state/errors.js";
import { isObject } from "../../contract/state/pointer.js";

const UNKNOWN_TIME = "1970-01-01T00:00:00Z";
/** @type {{[kind in import("../../contract/contract_lists.js").CommandKind]: [string, (order: string) => string]}} */
const PATHS = {
  place: ["POST", () => "/v1/orders"],
  transition: ["POST", (order) => `/v1/orders/${order}/transitions`],
  change: ["PATCH", (order) => `/v1/orders/${order}`],
};

/**
 * The command that was kept.
 *
 * @param command as it was stored
 * @throws ContractError the stored command is damaged
 */
export function checkCommand(command) {
  const isKept = isObject(command) && Number.isSafeInteger(command.id) && PATHS[command.kind];
  if (!isKept || typeof command.key !== "string") throw new ContractError("a command is damaged");
  checkBody(command.kind, command.body);
  return { updated_at: null, ...command };
}

/**
 * Checks the body as far as needed to show the order; Core checks the rest.
 *
 * @param kind "place", "transition" or "change"
 * @param body what the request to Core will have
 * @throws StateError Core would refuse the body
 */
export function checkBody(kind, body) {
  if (!isObject(body)) throw new StateError("a command's body must be an object");
  const size = bytesOf(JSON.stringify(body));
  if (size > MAX_COMMAND_BYTES) {
    throw new StateError(`a command may have at most ${MAX_COMMAND_BYTES} bytes, this has ${size}`);
  }
  if (kind === "transition" && !STATUSES.slice(1).includes(body.to)) {
    throw new StateError(`${shown(body.to)} is not a status of a transition`);
  }
  if (kind === "place" && !(body.items?.length > 0)) throw new StateError("an order needs at least one item");
  if (kind === "change" && body.items === undefined && body.note === undefined) {
    throw new StateError("a change needs items, a note, or both");
  }
  if (kind === "transition") return;
  try {
    const filled = { store_id: "1", currency: "KRW", items: [], ...body };
    checkOrder(newOrder({ key: "k", body: filled, made_at: null }));
  } catch (error) {
    throw new StateError(`this is not a valid order: ${error.message}`);
  }
}

/**
 * The order that a command will place, shown at version 0 until Core has it.
 *
 * @param command has key, body and made_at, as it is kept
 */
export function newOrder({ key, body, made_at: madeAt }) {
  const at = madeAt ?? UNKNOWN_TIME;
  const order = {
    id: key,
    store_id: body.store_id,
    table_id: body.table_id ?? null,
    status: "placed",
    version: 0,
    currency: body.currency,
    items: itemsOf(body.items),
    total: totalOf(body.items),
    note: body.note ?? "",
    reference: body.reference ?? null,
    reason: null,
    created_at: at,
    updated_at: at,
    open: true,
  };
  return body.guest ? { ...order, guest: body.guest } : order;
}

/** The items as an order has them. */
export const itemsOf = (items) => items.map((item) => ({ note: "", ...item }));

/** The sum of the items' prices. */
export const totalOf = (items) => items.reduce((sum, one) => sum + one.quantity * one.unit_price, 0);

/**
 * The command as it is sent, {id, method, path, key, version, updatedAt, body}.
 *
 * @param command as it is kept
 */
export function requestOf({ id, key, kind, order, version, updated_at: updatedAt = null, body }) {
  const [method, path] = PATHS[kind];
  return { id, method, path: path(order), key, version, updatedAt, body: JSON.stringify(body) };
}
