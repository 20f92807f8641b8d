// How the terminal shows the documents of printing and of printers. Pure.

import { ENDED_EARLY, JOB_STATES, STATUSES } from "../../yabam/contract/contract_lists.js";

/** The statuses at which a printer can be set to print an order. It prints rejections and cancellations anyway. */
export const PRINTED_STATUSES = STATUSES.filter((status) => !ENDED_EARLY.includes(status));
export const MAX_COPIES = 5;
export const MAX_PRINTERS = 20;
export const COLUMNS = [32, 42, 48];
export const NAME = /^[A-Za-z0-9_.-]{1,64}$/;
/** A printer's settings where the document says nothing. */
const USUAL = { stations: null, copies: 1, language: "ko", columns: 42, media: "picture" };
const WAITING = JOB_STATES.filter((state) => state !== "done");

/** The printers of a store's document `printing`, sorted by name: [id, settings]. */
export function printersIn(printing) {
  const found = Object.entries(printing?.printers ?? {});
  return found.map(([id, settings]) => [id, { ...USUAL, ...settings }]).sort(([a], [b]) => a.localeCompare(b));
}

/**
 * The tickets of a printer that are not printed yet, in the order of printing; `documents`: its channel's [{key,
 * value}].
 */
export function ticketsIn(documents) {
  return documents
    .filter(({ key, value }) => key.startsWith("print.") && value !== null && WAITING.includes(value.state))
    // A failed ticket that does not wait was dropped by a person.
    .filter(({ value }) => value.state !== "failed" || value.waits)
    .map(({ key, value }) => ({ id: key.slice("print.".length), ...value }))
    .sort((a, b) => a.seq - b.seq || a.copy - b.copy);
}

/**
 * How a printer is.
 *
 * @param id the printer's id
 * @param known what is known of it: `status`, the value of its document, or null; `tickets`, as ticketsIn returns
 *   them; `isFollowed`, whether the client follows its channel
 * @returns the object {id, state, troubles, tickets}. `state` is "new" if the printer is followed only after a
 *   reload, "unknown" if nothing was heard of it, otherwise "online" or "offline"
 */
export function stateOf(id, { status, tickets, isFollowed }) {
  const state = !isFollowed ? "new" : status === null ? "unknown" : status.online ? "online" : "offline";
  return { id, state, troubles: status?.troubles ?? [], tickets };
}

/**
 * Whether somebody should look after a printer: it has trouble, it cannot print its tickets, or one waits for a
 * person.
 *
 * @param printer the printer's state, as stateOf returns it
 * @returns true or false
 */
export function needsAttention({ state, troubles, tickets }) {
  const isStuck = tickets.length > 0 && state !== "online";
  return troubles.length > 0 || isStuck || tickets.some(({ waits }) => waits);
}

/** The names of a station's dishes from a text with one on each line. */
export function dishesOf(text) {
  return [...new Set(text.split("\n").map((line) => line.trim()).filter((line) => line !== ""))];
}
