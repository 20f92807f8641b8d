// How amounts, times and order numbers are written.

import { language } from "./language.js";

const cache = new Map();

function made(key, make) {
  if (!cache.has(key)) cache.set(key, make());
  return cache.get(key);
}

/** An amount in minor units of its currency. */
export function money(amount, currency) {
  const format = made(`${language()} ${currency}`, () => {
    /** @type {Intl.NumberFormatOptions} */
    const style = { style: "currency", currency, currencyDisplay: "narrowSymbol" };
    return new Intl.NumberFormat(language(), style);
  });
  return format.format(amount / 10 ** format.resolvedOptions().maximumFractionDigits);
}

/** A time of day with seconds; `at` in milliseconds since 1970. */
export function clockTime(at) {
  /** @type {Intl.DateTimeFormatOptions} */
  const options = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  return made(`${language()} time`, () => new Intl.DateTimeFormat(language(), options)).format(at);
}

/** The same, with the day if it is not the day of `today`. */
export function dayAndTime(at, today = Date.now()) {
  const time = clockTime(at);
  if (new Date(at).toDateString() === new Date(today).toDateString()) return time;
  /** @type {Intl.DateTimeFormatOptions} */
  const options = { month: "short", day: "numeric" };
  return `${made(`${language()} day`, () => new Intl.DateTimeFormat(language(), options)).format(at)} ${time}`;
}

/** What people call an order: the producer's number, or the end of its id. */
export function orderNumber(order) {
  return order.reference ?? order.id.slice(-4).toUpperCase();
}

/** A line of an order that says what is in it: "2 × Bibimbap, 1 × Rice". */
export function itemsLine(order) {
  return order.items.map((item) => `${item.quantity} × ${item.name}`).join(", ");
}
