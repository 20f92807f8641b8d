// One edit of this client, from its making to its answer. Pure; as client_sdk/state/entries.py.

import { MAX_EDIT_BYTES } from "../contract/contract_lists.js";
import { bytesOf, encodeEdit } from "../contract/state/edit.js";
import { StateError } from "../contract/state/errors.js";

/**
 * A document's name: its channel and its key in one text. Neither has a space.
 *
 * @param {string} channel
 * @param {string} key
 */
export const nameOf = (channel, key) => `${channel} ${key}`;

/**
 * The channel and the key of a document's name.
 *
 * @param {string} name
 */
export const partsOf = (name) => name.split(" ");

/** The key of the document that ends with the client's session. */
export const sessionKey = (key, client) => `${key}.${client}`;

/** The number of the own edit that an edit is made on; undefined: it is made on none. */
export const ownBase = (edit) => edit.base?.n;

/** An edit in the queue. It leaves when it is answered and the view does not apply it any more. */
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
   * Whether the value of another log that is shown meanwhile has it: then it is not applied a second
   * time. It is not kept, as such a value is not.
   */
  within = false;
  /**
   * @param id its place in the queue; never used twice, and kept when the edit gets another number
   * @param client the client id that it goes out under
   * @param edit as edit.js has it
   * @param body the edit as it is sent: the same text each time
   * @param group the atomic group that it belongs to; 0: none
   * @param outcome Core's answer; null: it is awaited
   * @param at the version that contains it, as an event or the answer says; 0: every version of this log
   *   does; null: not known, or none
   * @param shown whether the view applies it on top of Core's value
   * @param sent whether it may have been sent under its number; after a start nobody knows
   */
  constructor({ id, client, edit, body, group = 0, outcome = null, at = null, shown = true, sent = true }) {
    Object.assign(this, { id, client, edit, body, group, outcome, at, shown, sent });
  }

  /** The client's number of it. */
  get n() {
    return this.edit.n;
  }

  /** The name of the document that it changes. */
  get document() {
    return nameOf(this.edit.channel, this.edit.key);
  }

  /** Whether Core may have settled it, and nobody here knows in which version. */
  get isUnsure() {
    return this.sent && this.outcome === null && this.at === null;
  }

  /** Whether nothing more is to be done about it. */
  get isDone() {
    return this.outcome !== null && !this.shown;
  }

  /** Begins anew under this client and number; nobody has answered that yet. */
  rename(client, edit) {
    Object.assign(this, {
      client, edit, body: encodeEdit(edit), outcome: null, at: null, shown: true, sent: false,
    });
  }
}

/**
 * Makes an edit. What its client saw, and the base's value, are left out where they would make the edit
 * too large: then Core goes by what it has kept.
 *
 * @param wish what a program asks for: {channel, key, do, metadata, base}
 * @param basis what it is made on, and when: {base, schema, made_at, seen, base_value}
 * @throws StateError it is too large all the same
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
