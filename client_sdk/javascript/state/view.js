// A document as it is shown: Core's value with this client's pending edits on top. Pure.
//
// As client_sdk/state/view.py. The result is always recomputed from both, never changed in place. So an edit
// that Core refused, or settled with another result, leaves no trace.

import { StateError } from "../contract/state/errors.js";
import { apply } from "../contract/state/operations.js";
import { formatPointer, isObject, member } from "../contract/state/pointer.js";

/**
 * Applies the edits in order, without those that do not fit. Returns {value, leftOut}: `leftOut` has the ids of
 * the entries that do not fit the value.
 *
 * @param value Core's value; null: there is no document
 * @param entries the pending edits of the document
 * @param calls predictions of the operator's functions, by name
 */
export function compose(value, entries, calls) {
  const leftOut = new Set();
  let composed = value;
  for (const entry of entries) {
    try {
      composed = perform(entry.edit.do, composed, calls);
    } catch (error) {
      if (!(error instanceof StateError)) throw error;
      leftOut.add(entry.id);
    }
  }
  return { value: composed, leftOut };
}

/**
 * The value after the operation; a call of an unknown function changes nothing here.
 *
 * @param operation what an edit does, in the form of the wire
 * @param value the value before; null: there is no document
 * @param calls predictions of the operator's functions, by name
 * @returns the new value; null: the document is deleted
 * @throws StateError the operation does not fit the value, or the prediction threw
 */
export function perform(operation, value, calls) {
  const { call } = operation;
  if (call === undefined) return apply(operation, value);
  const work = member(calls, call.name);
  if (work === undefined) return value;
  try {
    return work(value, call.arguments ?? null);
  } catch (error) {
    throw new StateError(`${call.name} refuses: ${error?.message ?? error}`);
  }
}

/**
 * The values that a merge changes, by JSON Pointer, before the merge; null: it is no merge.
 *
 * @param operation what an edit does, in the form of the wire
 * @param value the value before; null: there is no document
 */
export function seenBy(operation, value) {
  if (operation.merge === undefined) return null;
  const seen = {};
  collect(operation.merge, value ?? undefined, [], seen);
  return seen;
}

function collect(patch, node, path, seen) {
  for (const [name, part] of Object.entries(patch)) {
    const below = [...path, name];
    const found = isObject(node) ? member(node, name) : undefined;
    if (isObject(part) && (found === undefined || isObject(found))) collect(part, found, below, seen);
    else if (found !== undefined) seen[formatPointer(below)] = found;
  }
}
