// Documents that never leave the device: the channels `private` and `session`. Pure.
//
// As client_sdk/state/private.py: `private` is kept in the store; `session` ends with the client.

import { StateError, shown } from "../contract/state/errors.js";
import { nameOf, partsOf } from "./entries.js";
import { checkOperation, isId } from "../contract/state/operations.js";
import { perform } from "./view.js";

const NONE = { version: 0, value: null };

/** Whether documents of the channel never leave the device. */
export const isPrivate = (channel) => channel === "private" || channel === "session";

/** The documents of the device. */
export class PrivateDocuments {
  #documents = new Map();

  /** @param kept the stored documents of `private`, each {key, version, value} */
  constructor(kept = []) {
    for (const { key, version, value } of kept) this.show(nameOf("private", key), { version, value });
  }

  /** The document as it is shown. */
  view(name) {
    const { version, value } = this.#documents.get(name) ?? NONE;
    return { value, version, pending: 0, loading: false, leftOut: 0, conflict: null, error: null };
  }

  /** The keys of the documents that are there. */
  keys(channel) {
    const there = [...this.#documents].filter(([, { value }]) => value !== null);
    const parts = there.map(([name]) => partsOf(name));
    return parts.filter(([of]) => of === channel).map(([, key]) => key).sort();
  }

  /**
   * The document after the operation: {version, value}.
   *
   * @param name its name, as nameOf makes it
   * @param operation what the edit does, in the form of the wire
   * @throws StateError the operation does not fit the document, or the key is malformed
   */
  changed(name, operation) {
    const [, key] = partsOf(name);
    if (!isId(key)) throw new StateError(`${shown(key)} is not a key: use 1 to 64 of A-Z a-z 0-9 _ . -`);
    checkOperation(operation);
    const { version, value } = this.#documents.get(name) ?? NONE;
    return { version: version + 1, value: perform(operation, value, {}) };
  }

  /**
   * The writes that must be stored before the document is shown.
   *
   * @param name its name, as nameOf makes it
   * @param document the result of `changed`
   */
  writesOf(name, { version, value }) {
    const [channel, key] = partsOf(name);
    return channel === "private" ? [{ type: "PutPrivate", key, version, value }] : [];
  }

  /**
   * Shows the document so from now on.
   *
   * @param name its name, as nameOf makes it
   * @param document the result of `changed`
   */
  show(name, document) {
    this.#documents.set(name, document);
  }
}
