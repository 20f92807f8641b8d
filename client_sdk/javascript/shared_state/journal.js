// Writes to the store, in order, one after the other. As client_sdk/shared_state/store_writer.py.

const AGAIN_AFTER_MS = 5_000;

/** The store of one client. */
export class Journal {
  /** Why the last write failed; null: it did not. */
  lastError = /** @type {string | null} */ (null);
  #store;
  #last = Promise.resolve();
  #waiting = [];
  #scheduled = false;
  #timer = /** @type {number | undefined} */ (undefined);
  #running = 0;

  /** @param store as IndexedStore or MemoryStore */
  constructor(store) {
    this.#store = store;
  }

  /** Whether all that was put is kept: nothing waits, and nothing is being written. */
  get isClean() {
    return this.#waiting.length === 0 && this.#running === 0;
  }

  /** Writes these soon, after all before them. */
  put(writes) {
    if (writes.length === 0) return;
    this.#waiting.push(...writes);
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => this.#flush());
  }

  /**
   * Done once these, and all that was put before, are kept.
   *
   * @throws StateStoreError these are not kept; what was put before is tried again
   */
  commit(writes = []) {
    this.#running += 1;
    const done = this.#last.then(() => this.#commit(writes)).finally(() => (this.#running -= 1));
    this.#last = done.catch(() => {});
    return done;
  }

  /** Writes the rest and lets go of the store. */
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
    } catch {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#flush(), AGAIN_AFTER_MS);
    }
  }
}
