// Batches of edits, and the handles by which a program waits for an edit's outcome.
//
// As client_sdk/shared_state/edit_batch.py.

import { nameOf } from "../state/entries.js";
import { perform } from "../state/view.js";

/** @typedef {import("../types.js").EditOutcome} EditOutcome */

/** An edit that was queued. */
export class EditHandle {
  #outcome;

  /** @param {Promise<EditOutcome>} outcome brings Core's answer */
  constructor(outcome) {
    this.#outcome = outcome;
  }

  /**
   * Waits for Core's answer and returns the outcome, which may be a refusal.
   *
   * @returns {Promise<EditOutcome>}
   * @throws {ClosedError} the client was closed first; the edit is sent when it is opened again
   */
  settled() {
    return this.#outcome;
  }
}

/** Edits that are made in one batch. */
export class Batch {
  staged = /** @type {{wish: any, resolve: (made: EditHandle) => void, reject: (why: any) => void}[]} */ ([]);
  /** Why one of its edits cannot be made; null: all can be made. */
  fault = /** @type {any} */ (null);
  #values = new Map();
  #view;

  /** @param {(name: string) => import("../types.js").DocumentView} view the document of this name, as it is shown */
  constructor(view) {
    this.#view = view;
  }

  /**
   * Adds an edit to the batch.
   *
   * @param {any} wish what the edit is to do: channel, key, do, metadata
   * @returns {Promise<EditHandle>} fulfilled when the batch ends
   * @throws {StateError} it does not fit the result of those before it
   */
  stage(wish) {
    const name = nameOf(wish.channel, wish.key);
    this.#values.set(name, perform(wish.do, this.value(name), {}));
    return new Promise((resolve, reject) => this.staged.push({ wish, resolve, reject }));
  }

  /**
   * The document with the edits so far.
   *
   * @param {string} name the document's, as nameOf makes it
   */
  value(name) {
    return this.#values.has(name) ? this.#values.get(name) : this.#view(name).value;
  }
}
