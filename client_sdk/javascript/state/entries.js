// One edit of this client, from its creation to Core's answer. Pure; as client_sdk/state/entries.py.

import { MAX_EDIT_BYTES } from "../contract/contract_lists.js";
import { bytesOf, encodeEdit } from "../contract/state/edit.js";
import { StateError } from "../contract/state/errors.js";

/**
 * A document's name: its channel and its key in one text. Neither has a space.
 *
 * @param {string} channel the full name of the channel that carries it
 * @param {string} key its key there; empty: it stands for all documents of the channel
 */
export const nameOf = (channel, key) => `${channel} ${key}`;

/**
 * The channel and the key of a document's name.
 *
 * @param {string} name as nameOf made it
 */
export const partsOf = (name) => name.split(" ");

/**
 * The key of a document that belongs to the client's session and ends with it.
 *
 * @param key as the operator has defined it
 * @param client the client id
 */
export const sessionKey = (key, client) => `${key}.${client}`;

/** The number of the own edit that an edit is based on; undefined: it is based on none. */
export const ownBase = (edit) => edit.base?.n;

/** An edit in the queue. It is removed once Core has answered it and the view does not apply it any more. */
export class Entry {
  /** @type {any} */
  edit;
  /** @type {any} */
  outcome;
  /** @type {any} */
  client;
  /** @type {any} */
  shown;
  /** @type {any} */
  at;
  /** @type {any} */
  sent;
  /**
   * Whether the value shown meanwhile, from another log, contains the edit already: then the view does not
   * apply it again. Not stored, as such a value is not stored.
   */
  within = false;
  /**
   * @param id its place in the queue; never used twice, and kept when the edit gets another number
   * @param client the client id that it is sent under
   * @param edit as edit.js has it
   * @param body the edit as it is sent: the same text each time
   * @param group the atomic group that it belongs to; 0: none
   * @param outcome Core's answer; null: Core has not answered yet
   * @param at the first version that contains the edit, from an event or the answer; 0: every version of this
   *   log contains it; null: not known, or none does
   * @param shown whether the view applies it on top of Core's value
   * @param sent whether it may have been sent under its number; true if that is unknown, after a restart
   */
  constructor({ id, client, edit, body, group = 0, outcome = null, at = null, shown = true, sent = true }) {
    Object.assign(this, { id, client, edit, body, group, outcome, at, shown, sent });
  }

  /** The edit's number among those of its client id. */
  get n() {
    return this.edit.n;
  }

  /** The name of the document that it changes. */
  get document() {
    return nameOf(this.edit.channel, this.edit.key);
  }

  /** Whether Core may have settled the edit in a version that is not known here. */
  get isUnsure() {
    return this.sent && this.outcome === null && this.at === null;
  }

  /** Whether the edit can be removed from the queue. */
  get isDone() {
    return this.outcome !== null && !this.shown;
  }

  /**
   * Restarts the edit under another client id and number, unanswered.
   *
   * @param client the new client id
   * @param edit the edit with its new number, in the form of the wire
   */
  rename(client, edit) {
    Object.assign(this, {
      client, edit, body: encodeEdit(edit), outcome: null, at: null, shown: true, sent: false,
    });
  }
}

/**
 * Makes an edit. The values that the client saw, and the base's value, are left out if they would make the edit
 * too large. Core then uses the versions that it has stored.
 *
 * @param id its place in the queue
 * @param client the client id
 * @param n its number
 * @param wish what a program asks for: {channel, key, do, metadata, base}
 * @param basis the version that it is based on, and when: {base, schema, made_at, seen, base_value}
 * @param group the atomic group that it belongs to; 0: none
 * @throws StateError the edit is too large even without those values
 */
export function newEntry(id, client, n, { channel, key, do: operation, metadata }, basis, group) {
  let edit = { n, channel, key, do: operation, metadata, ...basis };
  let body = encodeEdit(edit);
  if (bytesOf(body) > MAX_EDIT_BYTES) {
    edit = { ...edit, seen: undefined, base_value: undefined };
    body = encodeEdit(edit);
  }
  const size = bytesOf(body);
  if (size > MAX_EDIT_BYTES) {
    throw new StateError(`an edit may have at most ${MAX_EDIT_BYTES} bytes, this has ${size}`);
  }
  return new Entry({ id, client, edit, body, group, sent: false });
}

/**
 * The version that contains an edit with this outcome; null: none does. An outcome that only a newer
 * Core knows took effect, unless there is a problem.
 *
 * @param {{outcome: import("../contract/contract_lists.js").Outcome, problem?: object, version?: number}} answer
 */
export function containedAt({ outcome, problem, version }) {
  if (outcome === "refused" || outcome === "put-aside" || problem) return null;
  return version ?? null;
}
