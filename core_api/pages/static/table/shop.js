// What the store says to all its tables, and what a guest who waits is told. Pure.

import { sameName } from "../shared/names.js";
import { isToBeMade } from "../shared/statuses.js";

/** When a guest is told that it takes long, where the store has set no waiting time. */
const DEFAULT_MINUTES = 10;
/** For so long the kitchen may be said to confirm in a moment. */
const MOMENT_MINUTES = 2;

/**
 * What holds now: {isSoldOut(id, names), isTaking, reason, minutes}.
 *
 * @param documents has {soldOut, takingOrders, waitingTime}: their values, null where there is none
 */
export function shopOf({ soldOut, takingOrders, waitingTime }) {
  const items = soldOut?.items ?? {};
  const names = new Set(Object.values(items).map(({ name }) => sameName(name)));
  return {
    isSoldOut: (id, written) => Object.hasOwn(items, id) || written.some((name) => names.has(sameName(name))),
    isTaking: takingOrders?.value !== false,
    reason: takingOrders?.reason ?? "",
    minutes: waitingTime?.value ?? null,
  };
}

/**
 * What to tell of an order that is not ready: {text, minutes}, the name of the text; null: its status
 * says all.
 *
 * @param order its status and created_at
 * @param now Core's time in milliseconds since 1970
 * @param minutes how long the store says that it takes; null: it does not say
 */
export function waitOf({ status, created_at: createdAt }, now, minutes) {
  if (!isToBeMade({ status })) return null;
  const waited = Math.max(0, Math.floor((now - Date.parse(createdAt)) / 60_000));
  const limit = minutes ?? DEFAULT_MINUTES;
  if (waited >= limit && waited >= 1) return { text: "waitLong", minutes: waited };
  if (minutes !== null) return { text: "waitAbout", minutes: Math.max(1, limit - waited) };
  if (status === "placed" && waited >= MOMENT_MINUTES) return { text: "waitConfirm", minutes: waited };
  return null;
}
