// The errors of the shared state. Pure; as client_sdk/contract/errors.py.

import { ContractError } from "../contract.js";

/** Shared state, or an edit of it, that breaks a rule; nothing is changed. */
export class StateError extends ContractError {}

/** Not a JSON Pointer (RFC 6901), or one to a place that does not exist. */
export class PointerError extends StateError {}

/** An operation of an edit that is malformed, or does not fit this value. */
export class OperationError extends StateError {}

/** A JSON Patch (RFC 6902) that does not apply; `index`: which of its operations, from 0. */
export class PatchError extends StateError {
  /**
   * @param {number} index the failing operation, from 0
   * @param {string} reason why it does not apply
   */
  constructor(index, reason) {
    super(`operation ${index}: ${reason}`);
    this.index = index;
    this.reason = reason;
  }
}

/** A value that a document may not contain; `pointer`: the wrong part. */
export class StateValueError extends StateError {
  /**
   * @param {string} pointer the JSON Pointer to the wrong part; empty: the whole value
   * @param {string} reason what is wrong with it
   */
  constructor(pointer, reason) {
    super(`${pointer || "the whole value"}: ${reason}`);
    this.pointer = pointer;
    this.reason = reason;
  }
}

/** The state could not be stored: it belongs to another subject or tab, or there is no space. */
export class StateStoreError extends Error {}

/** The client is closed; its stored edits are sent when it is opened again. */
export class ClosedError extends Error {}

const MAX_SHOWN = 80;

/**
 * A text from outside, quoted and shortened, for a message.
 *
 * @param {unknown} text any value
 */
export const shown = (text) => JSON.stringify(String(text).slice(0, MAX_SHOWN));
