// How figures are written.

import { language, t } from "../shared/language.js";

/** A count or a rate: 0.4, 12, 1,204, 3.1M. */
export function number(value) {
  if (value === null || value === undefined) return "–";
  const notation = Math.abs(value) >= 100_000 ? "compact" : "standard";
  const maximumFractionDigits = Math.abs(value) < 10 || notation === "compact" ? 1 : 0;
  return new Intl.NumberFormat(language(), { notation, maximumFractionDigits }).format(value);
}

/** A duration in milliseconds, as text: 0.8 ms, 12 ms, 1.2 s. */
export function milliseconds(value) {
  if (value === null || value === undefined) return "–";
  return value < 1000 ? `${number(value)} ms` : `${number(value / 1000)} s`;
}

/** A duration in seconds, as text: 0.4 s, 12 s, 3 min, 2 h. */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 120) return `${number(seconds)} s`;
  return seconds < 7200 ? `${number(Math.floor(seconds / 60))} min` : `${number(Math.floor(seconds / 3600))} h`;
}

const DAY_MS = 86_400_000;

/**
 * A moment as text: 14:02, with the date if that is not today's.
 *
 * @param at the moment, in milliseconds since 1970
 * @param now the present time, in milliseconds since 1970
 * @returns the text
 */
export function dayTime(at, now) {
  const isOfToday = now - at < DAY_MS && new Date(at).getDate() === new Date(now).getDate();
  /** @type {Intl.DateTimeFormatOptions} */
  const date = isOfToday ? {} : { month: "short", day: "numeric" };
  /** @type {Intl.DateTimeFormatOptions} */
  const time = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return new Intl.DateTimeFormat(language(), { ...date, ...time }).format(at);
}

/**
 * The text with this name; another one if there is none, as for something that only a newer server knows.
 *
 * @param name the text's name
 * @param fallback the text to use if there is none
 * @param values what replaces each {placeholder} in the text, by name
 * @returns the text
 */
export function known(name, fallback, values = {}) {
  try {
    return t(name, values);
  } catch {
    return fallback;
  }
}
