// Turns what a program asks for into edits with numbers and base versions. Pure; as client_sdk/state/making.py.

import { parseChannel } from "../contract/contract.js";
import { MAX_EDITS } from "../contract/contract_lists.js";
import { bytesOf, checkEdit } from "../contract/state/edit.js";
import { nameOf } from "./entries.js";
import { StateError, shown } from "../contract/state/errors.js";
import { checkOperation, isId } from "../contract/state/operations.js";
import { MAX_GROUP_BYTES } from "./requests.js";
import { perform, seenBy } from "./view.js";

/** Core keeps every version for this long (milliseconds), whatever the document's definition says. */
const KEPT_FOR_MS = 3_600_000;

/**
 * Prepares the edits in the queue; each one sees the changes of those before it.
 *
 * @param queue assigns the numbers
 * @param look (document's name) → {composed, version, document, calls}: what is shown, Core's version below
 *   that (0: there is no document; null: nothing is known), Core's document or null, and the operator's
 *   functions; it throws if the channel is not followed
 * @param wishes the edits that the program asks for: {channel, key, do, metadata, base}
 * @param madeAt the time by Core's clock, as RFC 3339 text; null: not known
 * @param atomic whether Core applies all of them or none
 * @throws StateError an edit does not fit the document shown, or is malformed or too large
 */
export function makeEntries(queue, look, wishes, madeAt, atomic) {
  const stores = new Set(wishes.map(({ channel }) => parseChannel(channel).store));
  if (atomic && stores.size > 1) throw new StateError("an atomic batch must stay within one store");
  if (atomic && wishes.length > MAX_EDITS) {
    throw new StateError(`an atomic batch may have at most ${MAX_EDITS} edits`);
  }
  const values = new Map();
  const group = atomic ? queue.nextId : 0;
  const entries = wishes.map((wish) => made(queue, look, wish, madeAt, group, values));
  const size = entries.reduce((sum, entry) => sum + bytesOf(entry.body) + 1, 0);
  if (atomic && size > MAX_GROUP_BYTES) {
    throw new StateError("an atomic batch must fit into one request: make it smaller");
  }
  return entries;
}

function made(queue, look, wish, madeAt, group, values) {
  const { channel, key, do: operation } = wish;
  const name = nameOf(channel, key);
  const { composed, version, document, calls } = look(name);
  if (!isId(key)) throw new StateError(`${shown(key)} is not a key: use 1 to 64 of A-Z a-z 0-9 _ . -`);
  checkOperation(operation);
  const value = values.has(name) ? values.get(name) : composed.value;
  values.set(name, perform(operation, value, calls));
  const base = wish.base ?? queue.baseFor(name, version, composed.leftOut);
  const basis = {
    base,
    schema: document === null || document.value === null ? null : document.schema,
    made_at: madeAt,
    seen: seenBy(operation, value),
    base_value: baseValue(operation, base, document, madeAt),
  };
  const entry = queue.prepare(wish, basis, group);
  checkEdit(entry.edit);
  return entry;
}

/** The base version's value, if Core may have deleted it; undefined: it is not needed. */
function baseValue(operation, base, document, madeAt) {
  const isOfThese = operation.set !== undefined || operation.patch !== undefined;
  if (!isOfThese || document === null || base !== document.version) return undefined;
  const isYoung = madeAt !== null && Date.parse(madeAt) - Date.parse(document.updated_at) < KEPT_FOR_MS;
  return isYoung ? undefined : (document.value ?? undefined);
}
