// The columns of the board, and when an order waits too long in each. Pure.

import { columnOf } from "../../shared/statuses.js";

export const COLUMNS = ["new", "progress", "ready", "done"];

// Minutes until the age turns amber and red, in each column; a done order no longer waits.
const WAITS = { new: [2, 5], progress: [12, 20], ready: [15, 25], done: [Infinity, Infinity] };

/** How urgent an order is that was placed `ms` ago: calm, amber or red. */
export function urgency(order, ms) {
  const [amber, red] = WAITS[columnOf(order)];
  const minutes = ms / 60_000;
  return minutes >= red ? "red" : minutes >= amber ? "amber" : "calm";
}
