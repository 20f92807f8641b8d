// The edits of `POST /v1/edits`, and the outcome of each. Pure.
//
// As client_sdk/contract/state/edit.py. An edit has the form of the wire: {n, channel, key, do, base,
// schema, made_at, metadata, seen, base_value}. Unknown fields are left out; a base is a version,
// or {n}: the client's own edit of that number.

import { ContractError, canonical } from "../contract.js";
import { MAX_METADATA_BYTES } from "../contract_lists.js";
import { checkOperation, isId } from "./operations.js";
import { PointerError, StateError, StateValueError } from "./errors.js";
import { isObject, parsePointer } from "./pointer.js";
import { checkValue } from "./values.js";

const encoder = new TextEncoder();
const isText = (x) => typeof x === "string";
const isNone = (x) => x === null || x === undefined;
const isCount = (x) => Number.isSafeInteger(x) && x >= 0;

/**
 * How many bytes the text has in UTF-8.
 *
 * @param text any text; a lone surrogate counts as U+FFFD
 */
export const bytesOf = (text) => encoder.encode(text).length;

/**
 * One edit as JSON, as it is sent.
 *
 * @param edit in the form of the wire; what it does not have, or is null, is left out (but for `base_value`)
 */
export function encodeEdit(edit) {
  const { n, channel, key, do: operation, base, schema, made_at, metadata, seen, base_value } = edit;
  const wire = { n, channel, key, do: operation };
  const rest = { base, schema, made_at, metadata, seen };
  for (const [name, value] of Object.entries(rest)) if (!isNone(value)) wire[name] = value;
  if (base_value !== undefined) wire.base_value = base_value;
  return JSON.stringify(wire);
}

/**
 * The edit that was stored as JSON.
 *
 * @param text as encodeEdit wrote it
 * @throws ContractError it is damaged
 */
export function decodeEdit(text) {
  let edit;
  try {
    edit = JSON.parse(text);
  } catch {
    throw new ContractError("an edit is not JSON");
  }
  const named = isObject(edit) && isCount(edit.n) && isText(edit.channel) && isId(edit.key);
  if (!named) throw new ContractError("an edit does not follow the protocol");
  checkOperation(edit.do);
  checkEdit(edit);
  return edit;
}

/**
 * Checks the fields of the edit beside its operation.
 *
 * @param edit in the form of the wire
 * @throws StateError a pointer in `seen` is malformed, or a value is not valid in a document
 */
export function checkEdit(edit) {
  for (const [pointer, value] of Object.entries(edit.seen ?? {})) {
    try {
      checkValue(value, parsePointer(pointer));
    } catch (error) {
      if (!(error instanceof PointerError)) throw error;
      throw new PointerError(`seen: ${error.message}`);
    }
  }
  if (!isNone(edit.metadata)) {
    checkBeside("metadata", edit.metadata);
    if (new TextEncoder().encode(canonical(edit.metadata)).length > MAX_METADATA_BYTES) {
      throw new StateError(`metadata may have at most ${MAX_METADATA_BYTES} bytes`);
    }
  }
  if (!isNone(edit.base_value)) checkBeside("base_value", edit.base_value);
}

function checkBeside(field, value) {
  if (!isObject(value)) throw new StateError(`${field} is not an object`);
  try {
    checkValue(value);
  } catch (error) {
    if (!(error instanceof StateValueError)) throw error;
    throw new StateError(`${field} at ${error.message}`);
  }
}

/**
 * Checks an outcome {n, outcome, version, value, strategy, aside, repeated, problem, …} and returns it.
 *
 * @param outcome any JSON value
 * @throws ContractError it does not follow the protocol
 */
export function checkOutcome(outcome) {
  check(isObject(outcome) && Number.isSafeInteger(outcome.n) && isText(outcome.outcome));
  const { version, value, strategy, aside, repeated, problem, pointer, conflict } = outcome;
  check(isNone(version) || Number.isSafeInteger(version));
  check(isNone(value) || isObject(value));
  check(isNone(strategy) || isText(strategy));
  check(aside === undefined || (Array.isArray(aside) && aside.every(isText)));
  check(repeated === undefined || typeof repeated === "boolean");
  check(isNone(problem) || (isText(problem.type) && isText(problem.title)));
  check(isNone(pointer) || isText(pointer));
  if (isNone(conflict)) return outcome;
  check(isObject(conflict) && Number.isSafeInteger(conflict.version));
  for (const part of [conflict.current, conflict.base, conflict.own]) check(isNone(part) || isObject(part));
  return outcome;
}

function check(condition) {
  if (!condition) throw new ContractError("an outcome does not follow the protocol");
}
