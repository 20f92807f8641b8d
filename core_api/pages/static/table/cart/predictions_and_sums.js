// Predictions of how edits change what the guests of a table share, and functions that read it. Pure.
//
// Core has the same functions (core_api/documents/table_documents.py) and decides; the predictions show at once what
// it will probably decide. A line's id is {phone}.{dish}.{n}, so that two phones never make the same id.

import { ENDED_EARLY } from "../../yabam/contract/contract_lists.js";

const EMPTY = { lines: {} };
const MAX_QUANTITY = 999;
/** How many of one dish this page lets a guest put on one line. */
export const MAX_OF_A_DISH = 20;
/** The name for lines without a name. */
const NOBODY = "–";

/**
 * Predicts that a phone takes lines out of the cart to order them.
 *
 * @param current the value of the document `cart`, or null
 * @param given the order's `id`; `by` and `note` for it; `lines`: the quantity that the guest saw, by line id
 * @returns the new value
 * @throws Error the id was used before, or a line has changed
 */
export function take(current, { id, by = "", note = "", lines: seen }) {
  const { lines, orders = {}, ...rest } = current ?? EMPTY;
  if (id in orders) throw new Error(`${id} was taken already`);
  const known = Object.entries(seen).every(([key, quantity]) => lines[key]?.quantity === quantity);
  if (!known) throw new Error("another phone has ordered or changed some of it");
  const ids = new Set(Object.keys(seen));
  const of = (wanted) => Object.fromEntries(Object.entries(lines).filter(([key]) => ids.has(key) === wanted));
  return { ...rest, lines: of(false), orders: { ...orders, [id]: { lines: of(true), by, note } } };
}

/**
 * Predicts that the taken lines are ordered. Lines that were given back meanwhile are ordered, too.
 *
 * @param current the value of the document `cart`, or null
 * @param given the order's `id`
 * @returns the new value
 */
export function placed(current, { id }) {
  const { lines, ...rest } = current ?? EMPTY;
  const left = Object.entries(lines).map(([key, line]) => [key, without(id, line)]);
  const kept = left.filter(([, { quantity }]) => quantity > 0);
  return struck({ ...rest, lines: Object.fromEntries(kept) }, id);
}

function without(id, line) {
  const { back, ...rest } = line;
  return back?.order === id ? { ...rest, quantity: line.quantity - back.quantity } : line;
}

/**
 * The cart without an order that is no longer under way.
 *
 * @param {any} cart
 * @param {string} id of the order
 */
function struck({ orders = {}, ...rest }, id) {
  const { [id]: _done, ...left } = orders;
  return Object.keys(left).length > 0 ? { ...rest, orders: left } : rest;
}

/**
 * Predicts that the taken lines are not ordered after all, and come back into the cart.
 *
 * @param current the value of the document `cart`, or null
 * @param given the order's `id`
 * @returns the new value
 */
export function giveBack(current, { id }) {
  const { orders = {}, lines } = current ?? EMPTY;
  const back = { ...lines };
  for (const [key, line] of Object.entries(orders[id]?.lines ?? {})) {
    const quantity = line.quantity + (lines[key]?.quantity ?? 0);
    const came = { order: id, quantity: line.quantity };
    back[key] = { ...line, quantity: Math.min(quantity, MAX_QUANTITY), back: came };
  }
  return struck({ ...current, lines: back }, id);
}

/**
 * Predicts that a guest calls the staff.
 *
 * @param current the value of the document `bell`, or null
 * @param given the `reason` of the call
 * @returns the new value
 */
export function ring(current, { reason = "" }) {
  const { rung, ...rest } = current ?? { rung: 0, answered: 0 };
  return { ...rest, rung: rung + 1, reason };
}

/** The predictions of the operator's functions, by document and function, as YabamClient takes them. */
export const CALLS = { cart: { take, placed, "give-back": giveBack }, bell: { ring } };

/** The lines of a cart, sorted by guest and dish: [{id, dish, phone, name, quantity, unit_price, note, by}]. */
export function linesOf(cart) {
  return Object.entries((cart ?? EMPTY).lines)
    .map(([id, line]) => {
      const [first, last] = [id.indexOf("."), id.lastIndexOf(".")];
      const dish = id.slice(first + 1, Math.max(last, first + 1));
      return { note: "", by: "", ...line, id, dish, phone: id.slice(0, Math.max(first, 0)) };
    })
    .sort((a, b) => (a.by === b.by ? (a.id < b.id ? -1 : 1) : a.by < b.by ? -1 : 1));
}

/** A dish's name as it stands in orders: in both languages, so that guest and kitchen read the same. */
export const nameOf = ({ name }) => name.join(" ");

/** How many dishes these lines contain. */
export const countOf = (lines) => lines.reduce((sum, { quantity }) => sum + quantity, 0);

/** What these lines cost together, in minor units of the currency. */
export const totalOf = (lines) =>
  lines.reduce((sum, { quantity, unit_price: price }) => sum + quantity * price, 0);

/** The items of an order of these lines. Lines of the same dish and price with the same note become one item. */
export function itemsOf(lines) {
  const items = new Map();
  for (const { name, quantity, unit_price: price, note = "" } of lines) {
    const key = JSON.stringify([name, price, note]);
    const before = items.get(key)?.quantity ?? 0;
    items.set(key, { name, quantity: before + quantity, unit_price: price, ...(note ? { note } : {}) });
  }
  return [...items.values()];
}

/**
 * How much of the lines each guest has ordered: {name: amount}, in minor units. Names are percent-encoded, because
 * member names of documents are ASCII.
 */
export function sharesOf(lines) {
  const shares = new Map();
  for (const line of lines) {
    const key = encodeURIComponent(line.by || NOBODY);
    shares.set(key, (shares.get(key) ?? 0) + totalOf([line]));
  }
  return Object.fromEntries(shares);
}

/** The guest's name in a member of shares; one that is not encoded is returned as it is. */
function nameOfShare(key) {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

/**
 * What there is to pay.
 *
 * @param orders of this party, as far as they are known
 * @param shares by order id, as sharesOf returns them
 * @returns the amounts in minor units: {open, paid, people: [[name, amount]], together}. `people` is each guest's
 *   part of what is open, `together` the part that belongs to no guest
 */
export function billOf(orders, shares = {}) {
  const charged = orders.filter(({ status }) => !ENDED_EARLY.includes(status));
  const sum = (all) => all.reduce((total, order) => total + order.total, 0);
  const open = charged.filter(({ status }) => status !== "paid");
  const people = new Map();
  let named = 0;
  for (const order of open) {
    const own = Object.entries(shares[order.id] ?? {}).map(([key, amount]) => [nameOfShare(key), amount]);
    // If the kitchen has changed items since, the shares no longer fit: this order is paid together.
    if (own.reduce((total, [, amount]) => total + amount, 0) !== order.total) continue;
    named += order.total;
    for (const [name, amount] of own) people.set(name, (people.get(name) ?? 0) + amount);
  }
  const total = sum(open);
  return { open: total, paid: sum(charged) - total, people: [...people], together: total - named };
}

/**
 * Splits an amount.
 *
 * @param amount in minor units
 * @param ways how many parts
 * @returns the parts; they differ by one unit at most, the larger ones first
 */
export function partsOf(amount, ways) {
  const least = Math.floor(amount / ways);
  return Array.from({ length: ways }, (_, n) => least + (n < amount - least * ways ? 1 : 0));
}
