// The columns of the board, and when an order waits too long in each. Pure.

import { columnOf } from "../../shared/statuses.js";

export const COLUMNS = ["new", "progress", "ready", "done"];

/** Minutes until the age turns amber and red, in each column, where the store has not said so. */
export const WAITS = {
  new: { amber: 2, red: 5 },
  progress: { amber: 12, red: 20 },
  ready: { amber: 15, red: 25 },
};

/**
 * How urgent an order is that was placed `ms` ago: calm, amber or red.
 *
 * @param waits as WAITS
 */
export function urgency(order, ms, waits = WAITS) {
  const limits = waits[columnOf(order)];
  // A done order no longer waits.
  if (limits === undefined) return "calm";
  const { amber, red } = limits;
  const minutes = ms / 60_000;
  return minutes >= red ? "red" : minutes >= amber ? "amber" : "calm";
}
