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

/** Its column; in a status that only a newer Core knows it is in progress for as long as it is open. */
export const columnOf = ({ status, ...order }) => {
  if (Object.hasOwn(COLUMN_OF, status)) return COLUMN_OF[status];
  return isOpen({ status, ...order }) ? "progress" : "done";
};

/** The steps that may follow, the most likely first: [status, name of the text]. */
export const stepsOf = ({ status }) => (Object.hasOwn(STEPS, status) ? STEPS[status] : []);

/** Whether the step wants a reason. */
export const wantsReason = (to) => to === "rejected" || to === "cancelled";

/** How urgent an order is that was placed `ms` ago: calm, amber or red. */
export function urgency(order, ms) {
  const [amber, red] = WAITS[columnOf(order)];
  const minutes = ms / 60_000;
  return minutes >= red ? "red" : minutes >= amber ? "amber" : "calm";
}
