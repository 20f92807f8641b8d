// Stores the shared state in IndexedDB: one database for each subject, written by one tab at a time.
//
// As client_sdk/state/store.py. A tab that opens it takes it over: if the previous tab still exists, such as a
// frozen one, its writes fail from then on.

import { StateStoreError } from "../contract/state/errors.js";
import { nothingStored } from "./records.js";
import { nameOf } from "./entries.js";

/**
 * 2: commands to orders. What was kept before stays. A page of an older release cannot open a newer format, and
 * would keep its edits in memory alone while both releases run, and after a roll-back.
 */
const FORMAT = 2;
const STORES = ["meta", "entries", "documents", "waiting", "private", "asked", "commands"];
/** Answers are stored in `meta`: every release of this format reads only the keys there that it knows. */
const answerKey = (order) => ["answer", order];

/** The database of one subject. */
export class IndexedStore {
  #database = /** @type {IDBDatabase | null} */ (null);
  #owner = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;

  /**
   * Opens the store. Returns the subject's records, in the form of records.js `nothingStored`.
   *
   * @param {string} subject as subjectOf returns it; each has a database of its own
   * @returns {Promise<any>}
   * @throws {StateStoreError} it cannot be opened, as when the browser forbids storage
   */
  async open(subject) {
    try {
      const database = await opened(`yabam ${subject}`);
      this.#database = database;
      // Another tab may need to upgrade the database.
      database.onversionchange = () => this.close();
      return await this.#run((stores) => this.#takeOver(stores), false);
    } catch (error) {
      throw storeError(error);
    }
  }

  /**
   * Does all writes or none; they survive a crash once the promise is fulfilled.
   *
   * @param {any[]} writes in the form of records.js
   * @throws {StateStoreError} nothing was stored: there is no space, or another tab has taken it over
   */
  async write(writes) {
    try {
      await this.#run((stores) => writes.forEach((write) => put(stores, write)), true);
    } catch (error) {
      throw storeError(error);
    }
  }

  /** Closes the database. */
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
    stores.meta.getAll(IDBKeyRange.bound(["answer"], ["answer", []])).onsuccess = ({ target }) => {
      found.answers = target.result;
    };
    for (const name of STORES.slice(1)) {
      stores[name].getAll().onsuccess = ({ target }) => {
        found[name] = target.result;
      };
    }
    return found;
  }

  /** Does the work in one transaction; `own`: only if no other tab has taken the database over. */
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
  else if (type === "PutAnswer") stores.meta.put(write.answer, answerKey(write.answer.order.id));
  else if (type === "DropAnswer") stores.meta.delete(answerKey(write.order));
  else if (type === "PutPrivate") stores.private.put(rest, write.key);
  else if (type === "PutAsked") stores.asked.put(rest, write.asked);
  else if (type === "DropAsked") stores.asked.delete(write.asked);
  else throw new Error(`the store cannot do ${type}`);
}

function storeError(error) {
  if (error instanceof StateStoreError) return error;
  return new StateStoreError(`the state cannot be kept: ${error?.message ?? error}`);
}
