// What the documents of printing and of printers say, as the terminal shows it. Pure.

import { ENDED_EARLY, JOB_STATES, STATUSES } from "../../yabam/contract/contract_lists.js";

/** A printer prints an order at one of these; that an order ends otherwise is printed by itself. */
export const PRINTED_STATUSES = STATUSES.filter((status) => !ENDED_EARLY.includes(status));
export const MAX_COPIES = 5;
export const MAX_PRINTERS = 20;
export const COLUMNS = [32, 42, 48];
export const NAME = /^[A-Za-z0-9_.-]{1,64}$/;
/** What stands in a printer's settings where the document says nothing. */
const USUAL = { stations: null, copies: 1, language: "ko", columns: 42, media: "picture" };
const WAITING = JOB_STATES.filter((state) => state !== "done");

/** The printers of a store's document `printing`: [id, settings], by name. */
export function printersIn(printing) {
  const found = Object.entries(printing?.printers ?? {});
  return found.map(([id, settings]) => [id, { ...USUAL, ...settings }]).sort(([a], [b]) => a.localeCompare(b));
}

/** The tickets of a printer that are not on paper, in the order in which they are printed. */
export function ticketsIn(documents) {
  return documents
    .filter(({ key, value }) => key.startsWith("print.") && value !== null && WAITING.includes(value.state))
    // A person who has dropped a ticket waits for it no longer.
    .filter(({ value }) => value.state !== "failed" || value.waits)
    .map(({ key, value }) => ({ id: key.slice("print.".length), ...value }))
    .sort((a, b) => a.seq - b.seq || a.copy - b.copy);
}

/**
 * How a printer is: {id, state, troubles, tickets}; `state` is "unknown" while nothing was heard of it here,
 * "new" if it is followed only after a reload, else "online" or "offline".
 */
export function stateOf(id, { status, tickets, isFollowed }) {
  const state = !isFollowed ? "new" : status === null ? "unknown" : status.online ? "online" : "offline";
  return { id, state, troubles: status?.troubles ?? [], tickets };
}

/** Whether somebody should look after a printer: it cannot print, or a ticket waits for a person. */
export function needsCare({ state, troubles, tickets }) {
  const isStuck = tickets.length > 0 && state !== "online";
  return troubles.length > 0 || isStuck || tickets.some(({ waits }) => waits);
}

/** The names of a station's dishes, as somebody typed them: one a line. */
export function dishesOf(text) {
  return [...new Set(text.split("\n").map((line) => line.trim()).filter((line) => line !== ""))];
}
