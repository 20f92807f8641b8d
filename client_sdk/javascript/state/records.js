// What a store keeps of the shared state, as plain values. Pure; as client_sdk/state/records.py.
//
// The modules that decide put out writes; a store carries out those of one moment in one transaction,
// or none:
//
//     {type: "PutEntry", row}  {type: "DropEntry", id}  {type: "PutCounters", client, nextN, nextId, epoch}
//     {type: "PutDocument", document}  {type: "DropDocument", channel, key}
//     {type: "DropDocuments"}: all, also of channels that are not followed now, are of another log
//     {type: "PutWaiting", waiting}  {type: "DropWaiting", id}
//     {type: "PutCommand", command}  {type: "DropCommand", id}: those to orders
//     {type: "PutAnswer", answer}  {type: "DropAnswer", order}: those to commands, as kept_answers.js has them
//     {type: "PutPrivate", key, version, value}
//     {type: "PutAsked", asked, ids}  {type: "DropAsked", asked}: the edits that came of what a tab asked

import { StateStoreError } from "../contract/state/errors.js";
import { checkOutcome, decodeEdit } from "../contract/state/edit.js";
import { Entry } from "./entries.js";
import { EditQueue } from "./queue.js";

/** What there is of a subject that the store knows nothing of. */
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

/** The entry as it is kept. */
export function rowOf({ id, client, body, group, outcome, at, shown }) {
  return { id, client, body, group, outcome, at, shown };
}

/**
 * The entry that was kept.
 *
 * @throws ContractError it is damaged
 */
export function entryOf(row) {
  if (row.outcome !== null) checkOutcome(row.outcome);
  return new Entry({ ...row, edit: decodeEdit(row.body) });
}

/**
 * The queue that was kept, or a new one.
 *
 * @param newClient makes client ids
 * @throws StateStoreError, ContractError it is damaged
 */
export function queueOf({ counters, entries: rows, commands = [] }, newClient) {
  const entries = [...rows].sort((one, other) => one.id - other.id).map(entryOf);
  // The counters follow a command, so it may be there without them.
  const places = [...entries, ...commands].map((one) => one.id + 1);
  if (counters === null) {
    const nextId = Math.max(1, ...places);
    if (entries.length === 0) return new EditQueue(newClient(), newClient, { nextId });
    throw new StateStoreError("the state is damaged: it has edits without a client id");
  }
  const own = entries.filter((entry) => entry.client === counters.client);
  return new EditQueue(counters.client, newClient, {
    // An answer that came while an edit was kept may have kept the counters from before it.
    nextN: Math.max(counters.nextN, ...own.map((entry) => entry.n + 1)),
    nextId: Math.max(counters.nextId, ...places),
    epoch: counters.epoch,
    entries,
  });
}
