// Edits that are made together, and what a program holds of an edit that it has made.
//
// As client_sdk/shared_state/edit_batch.py.

import { nameOf } from "../state/entries.js";
import { perform } from "../state/view.js";

/** @typedef {import("../types.js").EditOutcome} EditOutcome */

/** An edit that was made. */
export class EditHandle {
  #outcome;

  /** @param {Promise<EditOutcome>} outcome */
  constructor(outcome) {
    this.#outcome = outcome;
  }

  /**
   * What became of it, once Core has answered; a refusal is an answer, too.
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
  /** Why one of its edits cannot be made; null: each can. */
  fault = /** @type {any} */ (null);
  #values = new Map();
  #view;

  /** @param {(name: string) => import("../types.js").DocumentView} view */
  constructor(view) {
    this.#view = view;
  }

  /**
   * Takes an edit in; it throws a StateError where it cannot be done to those before it.
   *
   * @param {any} wish
   * @returns {Promise<EditHandle>}
   */
  stage(wish) {
    const name = nameOf(wish.channel, wish.key);
    this.#values.set(name, perform(wish.do, this.value(name), {}));
    return new Promise((resolve, reject) => this.staged.push({ wish, resolve, reject }));
  }

  /**
   * The document with the edits so far.
   *
   * @param {string} name
   */
  value(name) {
    return this.#values.has(name) ? this.#values.get(name) : this.#view(name).value;
  }
}
