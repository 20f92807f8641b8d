// What breaks a rule of the shared state. Pure; as client_sdk/contract/errors.py.

import { ContractError } from "../contract.js";

/** Shared state, or an edit of it, that breaks a rule; nothing is changed. */
export class StateError extends ContractError {}

/** Not a JSON Pointer (RFC 6901), or one that leads to where nothing can be. */
export class PointerError extends StateError {}

/** An operation of an edit that is malformed, or that cannot be done to this value. */
export class OperationError extends StateError {}

/** A JSON Patch (RFC 6902) that does not apply; `index`: which of its operations, from 0. */
export class PatchError extends StateError {
  /**
   * @param {number} index
   * @param {string} reason
   */
  constructor(index, reason) {
    super(`operation ${index}: ${reason}`);
    this.index = index;
    this.reason = reason;
  }
}

/** A value that no document may hold; `pointer`: where in it. */
export class StateValueError extends StateError {
  /**
   * @param {string} pointer
   * @param {string} reason
   */
  constructor(pointer, reason) {
    super(`${pointer || "the whole value"}: ${reason}`);
    this.pointer = pointer;
    this.reason = reason;
  }
}

/** The state could not be kept: it is another subject's, another tab's, or there is no room. */
export class StateStoreError extends Error {}

/** The client is closed; what it had kept goes out when it is opened again. */
export class ClosedError extends Error {}

const MAX_SHOWN = 80;

/**
 * A foreign text, quoted and cut, for a message.
 *
 * @param {unknown} text
 */
export const shown = (text) => JSON.stringify(String(text).slice(0, MAX_SHOWN));
