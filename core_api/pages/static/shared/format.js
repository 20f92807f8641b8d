// How amounts, times and order numbers are written.

import { language } from "./language.js";

const cache = new Map();

function made(key, make) {
  if (!cache.has(key)) cache.set(key, make());
  return cache.get(key);
}

/**
 * Writes an amount of money.
 *
 * @param amount in minor units of the currency
 * @param currency its ISO 4217 code
 * @returns the text, in the page's language
 */
export function money(amount, currency) {
  const format = made(`${language()} ${currency}`, () => {
    /** @type {Intl.NumberFormatOptions} */
    const style = { style: "currency", currency, currencyDisplay: "narrowSymbol" };
    return new Intl.NumberFormat(language(), style);
  });
  return format.format(amount / 10 ** format.resolvedOptions().maximumFractionDigits);
}

/** The time of day with seconds, as text; `at` in milliseconds since 1970. */
export function clockTime(at) {
  /** @type {Intl.DateTimeFormatOptions} */
  const options = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  return made(`${language()} time`, () => new Intl.DateTimeFormat(language(), options)).format(at);
}

/**
 * As clockTime, with the date if that is not today's.
 *
 * @param at the time to write, in milliseconds since 1970
 * @param today any time of today, in milliseconds since 1970
 * @returns the text
 */
export function dayAndTime(at, today = Date.now()) {
  const time = clockTime(at);
  if (new Date(at).toDateString() === new Date(today).toDateString()) return time;
  /** @type {Intl.DateTimeFormatOptions} */
  const options = { month: "short", day: "numeric" };
  return `${made(`${language()} day`, () => new Intl.DateTimeFormat(language(), options)).format(at)} ${time}`;
}

/** What people call an order: its reference, which the producer gave, or the end of its id. */
export function orderNumber(order) {
  return order.reference ?? order.id.slice(-4).toUpperCase();
}

/** An order's items in one line: "2 × Bibimbap, 1 × Rice". */
export function itemsLine(order) {
  return order.items.map((item) => `${item.quantity} × ${item.name}`).join(", ");
}
