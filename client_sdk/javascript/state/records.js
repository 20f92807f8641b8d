// The records of the shared state in a store, as plain values. Pure; as client_sdk/state/records.py.
//
// The pure modules return writes; a store does those of one batch in one transaction, or none:
//
//     {type: "PutEntry", row}  {type: "DropEntry", id}  {type: "PutCounters", client, nextN, nextId, epoch}
//     {type: "PutDocument", document}  {type: "DropDocument", channel, key}
//     {type: "DropDocuments"}: delete all, including those of channels that are not followed now: their log is
//     gone {type: "PutWaiting", waiting} {type: "DropWaiting", id} {type: "PutCommand", command} {type:
//     "DropCommand", id}: order commands {type: "PutAnswer", answer} {type: "DropAnswer", order}: answers to
//     commands, in the form of kept_answers.js {type: "PutPrivate", key, version, value} {type: "PutAsked",
//     asked, ids} {type: "DropAsked", asked}: the edits that a tab's request led to

import { StateStoreError } from "../contract/state/errors.js";
import { checkOutcome, decodeEdit } from "../contract/state/edit.js";
import { Entry } from "./entries.js";
import { EditQueue } from "./queue.js";

/** The records of a new subject. */
export const nothingStored = () => ({
  counters: null,
  entries: [],
  documents: [],
  waiting: [],
  commands: [],
  answers: [],
  private: [],
  asked: [],
});

/**
 * The entry as a row of the store.
 *
 * @param entry an Entry
 */
export function rowOf({ id, client, body, group, outcome, at, shown }) {
  return { id, client, body, group, outcome, at, shown };
}

/**
 * The entry of a stored row.
 *
 * @param row as rowOf made it
 * @throws ContractError it is damaged
 */
export function entryOf(row) {
  if (row.outcome !== null) checkOutcome(row.outcome);
  return new Entry({ ...row, edit: decodeEdit(row.body) });
}

/**
 * The stored queue, or a new one.
 *
 * @param stored the records of the store: {counters, entries, commands}
 * @param newClient returns a new client id
 * @throws StateStoreError, ContractError it is damaged
 */
export function queueOf({ counters, entries: rows, commands = [] }, newClient) {
  const entries = [...rows].sort((one, other) => one.id - other.id).map(entryOf);
  // The counters are stored after a command, so they may be missing beside one.
  const places = [...entries, ...commands].map((one) => one.id + 1);
  if (counters === null) {
    const nextId = Math.max(1, ...places);
    if (entries.length === 0) return new EditQueue(newClient(), newClient, { nextId });
    throw new StateStoreError("the state is damaged: it has edits without a client id");
  }
  const own = entries.filter((entry) => entry.client === counters.client);
  return new EditQueue(counters.client, newClient, {
    // An answer during the storing of an edit may have stored the counters from before the edit.
    nextN: Math.max(counters.nextN, ...own.map((entry) => entry.n + 1)),
    nextId: Math.max(counters.nextId, ...places),
    epoch: counters.epoch,
    entries,
  });
}
