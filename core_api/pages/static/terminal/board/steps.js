// The columns of the board, and when an order waits too long in each. Pure.

import { columnOf } from "../../shared/statuses.js";

export const COLUMNS = ["new", "progress", "ready", "done"];

/** After how many minutes an order's age turns amber and red in each column, if the store has not set that. */
export const WAITS = {
  new: { amber: 2, red: 5 },
  progress: { amber: 12, red: 20 },
  ready: { amber: 15, red: 25 },
};

/**
 * How urgent an order is.
 *
 * @param order the order
 * @param ms how long ago it was placed, in milliseconds
 * @param waits after how many minutes it is amber and red, by column, as WAITS
 * @returns calm, amber or red
 */
export function urgency(order, ms, waits = WAITS) {
  const limits = waits[columnOf(order)];
  // A done order no longer waits.
  if (limits === undefined) return "calm";
  const { amber, red } = limits;
  const minutes = ms / 60_000;
  return minutes >= red ? "red" : minutes >= amber ? "amber" : "calm";
}
