// What the guests of a table share: what edits of it will do, and how it is read. Pure.
//
// Core has the same functions (core_api/documents/table_documents.py) and the last word; these show at once what
// it will probably say. A line's id is {phone}.{dish}.{n}, so no two phones ever make the same one.

import { ENDED_EARLY } from "../../yabam/contract/contract_lists.js";

const EMPTY = { lines: {} };
const MAX_QUANTITY = 999;
/** The most of one dish that one line takes from a guest of this page. */
export const MAX_OF_A_DISH = 20;
/** Who stands for lines without a name. */
const NOBODY = "–";

/** A phone takes lines out to order them: {id, by, note, lines: {id: quantity}}. */
export function take(current, { id, by = "", note = "", lines: seen }) {
  const { lines, orders = {}, ...rest } = current ?? EMPTY;
  if (id in orders) throw new Error(`${id} was taken already`);
  const known = Object.entries(seen).every(([key, quantity]) => lines[key]?.quantity === quantity);
  if (!known) throw new Error("another phone has ordered or changed some of it");
  const ids = new Set(Object.keys(seen));
  const of = (wanted) => Object.fromEntries(Object.entries(lines).filter(([key]) => ids.has(key) === wanted));
  return { ...rest, lines: of(false), orders: { ...orders, [id]: { lines: of(true), by, note } } };
}

/** What was taken is ordered: {id}. What came back of it meanwhile is ordered, too. */
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
 * @param {any} cart
 * @param {string} id of the order that is no longer sent
 */
function struck({ orders = {}, ...rest }, id) {
  const { [id]: _done, ...left } = orders;
  return Object.keys(left).length > 0 ? { ...rest, orders: left } : rest;
}

/** What was taken is not ordered after all, its lines come back: {id}. */
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

/** A guest rings: {reason}. */
export function ring(current, { reason = "" }) {
  const { rung, ...rest } = current ?? { rung: 0, answered: 0 };
  return { ...rest, rung: rung + 1, reason };
}

/** What is known of the operator's functions, as YabamClient takes it. */
export const CALLS = { cart: { take, placed, "give-back": giveBack }, bell: { ring } };

/** The lines of a cart, by guest and dish: [{id, dish, phone, name, quantity, unit_price, note, by}]. */
export function linesOf(cart) {
  return Object.entries((cart ?? EMPTY).lines)
    .map(([id, line]) => {
      const [first, last] = [id.indexOf("."), id.lastIndexOf(".")];
      const dish = id.slice(first + 1, Math.max(last, first + 1));
      return { note: "", by: "", ...line, id, dish, phone: id.slice(0, Math.max(first, 0)) };
    })
    .sort((a, b) => (a.by === b.by ? (a.id < b.id ? -1 : 1) : a.by < b.by ? -1 : 1));
}

/** A dish's name as orders have it: in both languages, so that guest and kitchen read the same. */
export const nameOf = ({ name }) => name.join(" ");

/** How many dishes lines hold. */
export const countOf = (lines) => lines.reduce((sum, { quantity }) => sum + quantity, 0);

/** What lines come to, in minor units. */
export const totalOf = (lines) =>
  lines.reduce((sum, { quantity, unit_price: price }) => sum + quantity * price, 0);

/** The items of an order of these lines: those of one dish with one note together. */
export function itemsOf(lines) {
  const items = new Map();
  for (const { name, quantity, unit_price: price, note = "" } of lines) {
    const key = JSON.stringify([name, price, note]);
    const before = items.get(key)?.quantity ?? 0;
    items.set(key, { name, quantity: before + quantity, unit_price: price, ...(note ? { note } : {}) });
  }
  return [...items.values()];
}

/** Who ordered for how much: {name: amount}. Member names of documents are ASCII, so names are escaped. */
export function sharesOf(lines) {
  const shares = new Map();
  for (const line of lines) {
    const key = encodeURIComponent(line.by || NOBODY);
    shares.set(key, (shares.get(key) ?? 0) + totalOf([line]));
  }
  return Object.fromEntries(shares);
}

/** The name that a member of shares stands for. Others may have written it otherwise: then as it is. */
function nameOfShare(key) {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}

/**
 * What there is to pay: {open, paid, people: [[name, amount]], together}, in minor units. `together` is
 * what no name stands for.
 *
 * @param orders of this party, as far as they are known
 * @param shares by order, as sharesOf gives them
 */
export function billOf(orders, shares = {}) {
  const charged = orders.filter(({ status }) => !ENDED_EARLY.includes(status));
  const sum = (all) => all.reduce((total, order) => total + order.total, 0);
  const open = charged.filter(({ status }) => status !== "paid");
  const people = new Map();
  let named = 0;
  for (const order of open) {
    const own = Object.entries(shares[order.id] ?? {}).map(([key, amount]) => [nameOfShare(key), amount]);
    // Items that the kitchen changed since cost somebody else than the shares say: all pay those.
    if (own.reduce((total, [, amount]) => total + amount, 0) !== order.total) continue;
    named += order.total;
    for (const [name, amount] of own) people.set(name, (people.get(name) ?? 0) + amount);
  }
  const total = sum(open);
  return { open: total, paid: sum(charged) - total, people: [...people], together: total - named };
}

/** An amount in so many parts, which are equal but for one unit, the larger first. */
export function partsOf(amount, ways) {
  const least = Math.floor(amount / ways);
  return Array.from({ length: ways }, (_, n) => least + (n < amount - least * ways ? 1 : 0));
}
