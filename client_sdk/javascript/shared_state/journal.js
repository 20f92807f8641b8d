// Writes to the store, in order, one after the other. As client_sdk/shared_state/store_writer.py.

import { longestWait } from "../machine/backoff.js";

/** The wait before a failed write is tried again, in seconds: the first, and the longest. */
const FIRST_WAIT_S = 1;
const LONGEST_WAIT_S = 30;

/** Writes to one client's store. */
export class Journal {
  /** Why the last write failed; null: it succeeded. */
  lastError = /** @type {string | null} */ (null);
  #store;
  #last = Promise.resolve();
  #waiting = [];
  #scheduled = false;
  #timer = /** @type {number | undefined} */ (undefined);
  #running = 0;
  #failures = 0;

  /** @param store as IndexedStore or MemoryStore */
  constructor(store) {
    this.#store = store;
  }

  /** Whether everything is stored: no write waits or is running. */
  get isClean() {
    return this.#waiting.length === 0 && this.#running === 0;
  }

  /**
   * Writes these soon, after all earlier ones.
   *
   * @param writes in the form of records.js
   */
  put(writes) {
    if (writes.length === 0) return;
    this.#waiting.push(...writes);
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => this.#flush());
  }

  /**
   * Fulfilled once these and all earlier writes are stored.
   *
   * @param writes in the form of records.js
   * @throws StateStoreError these are not stored; earlier writes are tried again
   */
  commit(writes = []) {
    this.#running += 1;
    const done = this.#last.then(() => this.#commit(writes)).finally(() => (this.#running -= 1));
    this.#last = done.catch(() => {});
    return done;
  }

  /** Does the remaining writes and closes the store. */
  async close() {
    clearTimeout(this.#timer);
    try {
      await this.commit();
    } finally {
      this.#store.close();
    }
  }

  async #commit(writes) {
    const before = this.#waiting;
    this.#waiting = [];
    if (before.length === 0 && writes.length === 0) return;
    try {
      await this.#store.write([...before, ...writes]);
      this.lastError = null;
    } catch (error) {
      this.lastError = error.message;
      this.#waiting = [...before, ...this.#waiting];
      throw error;
    }
  }

  async #flush() {
    this.#scheduled = false;
    try {
      await this.commit();
      this.#failures = 0;
    } catch {
      this.#failures += 1;
      clearTimeout(this.#timer);
      const delay = longestWait(this.#failures, FIRST_WAIT_S, LONGEST_WAIT_S) * 1000;
      this.#timer = setTimeout(() => this.#flush(), delay);
    }
  }
}
