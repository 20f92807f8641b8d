// What the store tells all its tables, and what a waiting guest is told. Pure.

import { sameName } from "../shared/names.js";
import { isToBeMade } from "../shared/statuses.js";

/** A guest is told after this many minutes that an order takes long, if the store has set no waiting time. */
const DEFAULT_MINUTES = 10;
/** For this many minutes the page says that the kitchen will confirm in a moment. */
const MOMENT_MINUTES = 2;

/**
 * What the store says now.
 *
 * @param documents the values of the documents: {soldOut, takingOrders, waitingTime}, null where there is none
 * @returns the object {isSoldOut, isTaking, reason, minutes}: isSoldOut(dish id, its names); whether orders are
 *   taken, and why not; the waiting time in minutes, or null
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
 * What to tell a guest about an order that is not ready.
 *
 * @param order its `status` and `created_at`
 * @param now Core's time in milliseconds since 1970
 * @param minutes how long an order takes, as the store says; null: it does not say
 * @returns the name of a text, and the number in it: {text, minutes}; null: the status says enough
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
