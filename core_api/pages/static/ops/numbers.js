// How figures are written.

import { language, t } from "../shared/language.js";

/** A count or a rate: 0.4, 12, 1,204, 3.1M. */
export function number(value) {
  if (value === null || value === undefined) return "–";
  const notation = Math.abs(value) >= 100_000 ? "compact" : "standard";
  const maximumFractionDigits = Math.abs(value) < 10 || notation === "compact" ? 1 : 0;
  return new Intl.NumberFormat(language(), { notation, maximumFractionDigits }).format(value);
}

/** Milliseconds: 0.8 ms, 12 ms, 1.2 s. */
export function milliseconds(value) {
  if (value === null || value === undefined) return "–";
  return value < 1000 ? `${number(value)} ms` : `${number(value / 1000)} s`;
}

/** A time span given in seconds: 0.4 s, 12 s, 3 min, 2 h. */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 120) return `${number(seconds)} s`;
  return seconds < 7200 ? `${number(Math.floor(seconds / 60))} min` : `${number(Math.floor(seconds / 3600))} h`;
}

const DAY_MS = 86_400_000;

/** A moment in milliseconds since 1970: 14:02, and its date where that is not today's. */
export function dayTime(at, now) {
  const isOfToday = now - at < DAY_MS && new Date(at).getDate() === new Date(now).getDate();
  /** @type {Intl.DateTimeFormatOptions} */
  const date = isOfToday ? {} : { month: "short", day: "numeric" };
  /** @type {Intl.DateTimeFormatOptions} */
  const time = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return new Intl.DateTimeFormat(language(), { ...date, ...time }).format(at);
}

/** The text of that name, or the name itself where a newer server says what we do not know. */
export function known(name, fallback, values = {}) {
  try {
    return t(name, values);
  } catch {
    return fallback;
  }
}
