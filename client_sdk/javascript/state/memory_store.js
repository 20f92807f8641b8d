// Keeps the shared state in memory, for as long as the page lives; tests use it in place of a disk.
//
// The part of client_sdk/state/store.py that is in memory.

import { StateStoreError } from "../contract/state/errors.js";
import { nothingStored } from "./records.js";
import { nameOf } from "./entries.js";

/** A store: `open(subject)`, `write(writes)` (all or none) and `close()`, as IndexedStore. */
export class MemoryStore {
  #subject = /** @type {string | null} */ (null);
  #counters = /** @type {any} */ (null);
  #entries = new Map();
  #documents = new Map();
  #waiting = new Map();
  #commands = new Map();
  #answers = new Map();
  #private = new Map();
  #asked = new Map();

  /**
   * Opens the store. Returns the subject's records, in the form of records.js `nothingStored`.
   *
   * @param {string} subject as subjectOf returns it
   * @returns {Promise<any>}
   * @throws {StateStoreError} it belongs to another subject
   */
  async open(subject) {
    return this.openNow(subject);
  }

  /**
   * The same, at once.
   *
   * @param {string} subject as subjectOf returns it
   * @returns {any}
   * @throws {StateStoreError} it belongs to another subject
   */
  openNow(subject) {
    if (this.#subject !== null && this.#subject !== subject) {
      throw new StateStoreError("this state belongs to another subject: use one for each");
    }
    this.#subject = subject;
    const values = (map) => [...map.values()];
    return structuredClone({
      ...nothingStored(),
      counters: this.#counters,
      entries: values(this.#entries).sort((a, b) => a.id - b.id),
      documents: values(this.#documents),
      waiting: values(this.#waiting).sort((a, b) => a.id - b.id),
      commands: values(this.#commands).sort((a, b) => a.id - b.id),
      answers: values(this.#answers),
      private: values(this.#private),
      asked: values(this.#asked),
    });
  }

  /**
   * Does all writes.
   *
   * @param {any[]} writes in the form of records.js
   */
  async write(writes) {
    this.writeNow(writes);
  }

  /**
   * The same, at once.
   *
   * @param {any[]} writes in the form of records.js
   */
  writeNow(writes) {
    for (const write of structuredClone(writes)) this.#do(write);
  }

  /** Closes the store; its records can be opened again. */
  close() {}

  #do(write) {
    const { type } = write;
    if (type === "PutEntry") this.#entries.set(write.row.id, write.row);
    else if (type === "DropEntry") this.#entries.delete(write.id);
    else if (type === "PutCounters") this.#counters = withoutType(write);
    else if (type === "PutDocument") {
      this.#documents.set(nameOf(write.document.channel, write.document.key), write.document);
    } else if (type === "DropDocument") this.#documents.delete(nameOf(write.channel, write.key));
    else if (type === "DropDocuments") this.#documents.clear();
    else if (type === "PutWaiting") this.#waiting.set(write.waiting.id, write.waiting);
    else if (type === "DropWaiting") this.#waiting.delete(write.id);
    else if (type === "PutCommand") this.#commands.set(write.command.id, write.command);
    else if (type === "DropCommand") this.#commands.delete(write.id);
    else if (type === "PutAnswer") this.#answers.set(write.answer.order.id, write.answer);
    else if (type === "DropAnswer") this.#answers.delete(write.order);
    else if (type === "PutPrivate") this.#private.set(write.key, withoutType(write));
    else if (type === "PutAsked") this.#asked.set(write.asked, withoutType(write));
    else if (type === "DropAsked") this.#asked.delete(write.asked);
    else throw new Error(`the store cannot do ${type}`);
  }
}

function withoutType({ type: _, ...rest }) {
  return rest;
}
