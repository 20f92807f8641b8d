// The store of the release before answers were kept, as it was: only the paths of its imports are others.

import { StateStoreError } from "/static/yabam/contract/state/errors.js";
import { nothingStored } from "/static/yabam/state/records.js";
import { nameOf } from "/static/yabam/state/entries.js";

/** 2: commands to orders. What was kept before stays. */
const FORMAT = 2;
const STORES = ["meta", "entries", "documents", "waiting", "private", "asked", "commands"];

/** The database of one subject. */
export class IndexedStore {
  #database = /** @type {IDBDatabase | null} */ (null);
  #owner = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;

  /**
   * What is kept for the subject, as records.js `nothingStored` has it.
   *
   * @param {string} subject
   * @returns {Promise<any>}
   * @throws {StateStoreError} it cannot be had, as where a browser forbids storage
   */
  async open(subject) {
    try {
      const database = await opened(`yabam ${subject}`);
      this.#database = database;
      // Another tab may want to make its stores anew.
      database.onversionchange = () => this.close();
      return await this.#run((stores) => this.#takeOver(stores), false);
    } catch (error) {
      throw storeError(error);
    }
  }

  /**
   * Carries out all or none; it is safe once this is done.
   *
   * @param {any[]} writes
   * @throws {StateStoreError} nothing was done: there is no room, or another tab has taken it over
   */
  async write(writes) {
    try {
      await this.#run((stores) => writes.forEach((write) => put(stores, write)), true);
    } catch (error) {
      throw storeError(error);
    }
  }

  /** Lets go of it. */
  close() {
    this.#database?.close();
    this.#database = null;
  }

  #takeOver(stores) {
    stores.meta.put(this.#owner, "owner");
    const found = nothingStored();
    stores.meta.get("counters").onsuccess = ({ target }) => {
      found.counters = target.result ?? null;
    };
    for (const name of STORES.slice(1)) {
      stores[name].getAll().onsuccess = ({ target }) => {
        found[name] = target.result;
      };
    }
    return found;
  }

  /** Does the work in one transaction; `own`: only if nobody has taken the database over. */
  #run(work, own) {
    return new Promise((resolve, reject) => {
      if (this.#database === null) throw new Error("the state is closed");
      const transaction = this.#database.transaction(STORES, "readwrite", { durability: "strict" });
      const stores = Object.fromEntries(STORES.map((name) => [name, transaction.objectStore(name)]));
      let result;
      let cause = /** @type {any} */ (null);
      const begin = () => {
        try {
          result = work(stores);
        } catch (error) {
          cause = error;
          transaction.abort();
        }
      };
      transaction.oncomplete = () => resolve(result);
      transaction.onabort = () => reject(cause ?? transaction.error ?? new Error("it was given up"));
      if (!own) begin();
      else {
        const owner = stores.meta.get("owner");
        owner.onsuccess = () => {
          if (owner.result === this.#owner) return begin();
          cause = new Error("another tab has taken the state over");
          return transaction.abort();
        };
      }
    });
  }
}

function opened(name) {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, FORMAT);
    request.onupgradeneeded = () => {
      const { objectStoreNames: known } = request.result;
      for (const store of STORES) if (!known.contains(store)) request.result.createObjectStore(store);
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function put(stores, write) {
  const { type, ...rest } = write;
  if (type === "PutEntry") stores.entries.put(write.row, write.row.id);
  else if (type === "DropEntry") stores.entries.delete(write.id);
  else if (type === "PutCounters") stores.meta.put(rest, "counters");
  else if (type === "PutDocument") {
    stores.documents.put(write.document, nameOf(write.document.channel, write.document.key));
  } else if (type === "DropDocument") stores.documents.delete(nameOf(write.channel, write.key));
  else if (type === "DropDocuments") stores.documents.clear();
  else if (type === "PutWaiting") stores.waiting.put(write.waiting, write.waiting.id);
  else if (type === "DropWaiting") stores.waiting.delete(write.id);
  else if (type === "PutCommand") stores.commands.put(write.command, write.command.id);
  else if (type === "DropCommand") stores.commands.delete(write.id);
  else if (type === "PutPrivate") stores.private.put(rest, write.key);
  else if (type === "PutAsked") stores.asked.put(rest, write.asked);
  else if (type === "DropAsked") stores.asked.delete(write.asked);
  else throw new Error(`the store cannot do ${type}`);
}

function storeError(error) {
  if (error instanceof StateStoreError) return error;
  return new StateStoreError(`the state cannot be kept: ${error?.message ?? error}`);
}
