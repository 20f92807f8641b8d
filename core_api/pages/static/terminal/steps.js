// Which column an order stands in, what its owner can do next, and when it waits too long. Pure.

import { isOpen } from "../yabam/contract.js";

export const COLUMNS = ["new", "progress", "ready", "done"];

const COLUMN_OF = {
  placed: "new",
  accepted: "progress",
  preparing: "progress",
  ready: "ready",
  served: "done",
  paid: "done",
  rejected: "done",
  cancelled: "done",
};

const STEPS = {
  placed: [["accepted", "accept"], ["rejected", "reject"]],
  accepted: [["preparing", "prepare"], ["ready", "makeReady"], ["cancelled", "cancel"]],
  preparing: [["ready", "makeReady"], ["cancelled", "cancel"]],
  ready: [["served", "serve"], ["cancelled", "cancel"]],
  served: [["paid", "pay"]],
  paid: [],
  rejected: [],
  cancelled: [],
};

// Minutes until the age turns amber and red, in each column; a done order no longer waits.
const WAITS = { new: [2, 5], progress: [12, 20], ready: [15, 25], done: [Infinity, Infinity] };

/** A status that a newer Core knows and this page does not is in progress as long as it is open. */
export const columnOf = (order) => COLUMN_OF[order.status] ?? (isOpen(order) ? "progress" : "done");

/** The steps that may follow, the most likely first: [status, name of the text]. */
export const stepsOf = (order) => STEPS[order.status] ?? [];

/** Whether the step wants a reason. */
export const wantsReason = (to) => to === "rejected" || to === "cancelled";

/** How urgent an order is that was placed `ms` ago: calm, amber or red. */
export function urgency(order, ms) {
  const [amber, red] = WAITS[columnOf(order)];
  const minutes = ms / 60_000;
  return minutes >= red ? "red" : minutes >= amber ? "amber" : "calm";
}
