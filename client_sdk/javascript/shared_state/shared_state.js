// The shared state's interface for programs: documents, batches, subscriptions, snapshots.
//
//     const cart = client.state("party:12/5").get("cart");
//     await cart.merge({ lines: { a7: { name: "김밥", quantity: 2 } } });
//     cart.subscribe(draw, "/lines");
//
// As client_sdk/shared_state/shared_state.py.

import { nameOf, partsOf, sessionKey } from "../state/entries.js";
import { StateError } from "../contract/state/errors.js";
import { checkOperation } from "../contract/state/operations.js";
import { parsePointer } from "../contract/state/pointer.js";
import { isPrivate } from "../state/private.js";
import { copy, same } from "../contract/state/values.js";
import { Batch, EditHandle } from "./edit_batch.js";

/** @typedef {import("../types.js").Json} Json */
/** @typedef {import("../types.js").JsonObject} JsonObject */
/** @typedef {{metadata?: JsonObject}} EditOptions `metadata`: the program's own data, kept with the change in
 * the history */

/** One document as this client shows it. */
export class SharedDocument {
  /** @type {SharedState} */
  #shared;

  /**
   * @param {SharedState} shared makes the edits, and knows what is shown
   * @param {string} channel the full name of the channel that carries it, such as `party:12/5`
   * @param {string} key its key there
   */
  constructor(shared, channel, key) {
    this.#shared = shared;
    this.channel = channel;
    this.key = key;
  }

  /**
   * Core's value with the pending edits on top; null: there is none. Do not change it in place.
   *
   * @returns {JsonObject | null}
   */
  get value() {
    return this.#view.value;
  }

  /** Core's version below the pending edits; 0: there is none. */
  get version() {
    return this.#view.version;
  }

  /** How many edits Core's value does not contain yet. */
  get pending() {
    return this.#view.pending;
  }

  /**
   * The document's state beside its value: {loading, conflict, error, leftOut}. `loading`: Core has a newer
   * value, or nothing is known yet; `conflict`: the conflict that waits for `resolve` or `discard`, {version,
   * current, base, own}; `error`: why the last edit was refused, {slug, detail, pointer}, until another takes
   * effect; `leftOut`: how many pending edits do not fit Core's value any more.
   *
   * @returns {import("../types.js").DocumentMeta}
   */
  get meta() {
    const { loading, conflict, error, leftOut } = this.#view;
    return { loading, conflict: conflict && conflict.conflict, error, leftOut };
  }

  /** Its channel and key as one text. */
  get name() {
    return nameOf(this.channel, this.key);
  }

  /**
   * Replaces the whole value. Like all edits it is stored and shown when the promise is fulfilled; in a batch, when
   * the batch ends.
   *
   * @param {JsonObject | ((value: JsonObject | null) => JsonObject)} value the new value, or a function that makes it
   *   of the current one
   * @param {EditOptions} [options]
   * @returns {Promise<EditHandle>} its `settled` waits for Core's answer
   * @throws {StateError} the edit does not fit the document shown, or breaks a rule
   * @throws {StateStoreError} it cannot be stored
   * @throws {ClosedError} the client is closed
   */
  set(value, options) {
    const made = typeof value === "function" ? value(this.#shared.valueOf(this.name)) : value;
    return this.#do({ set: made }, options);
  }

  /**
   * Applies a JSON Merge Patch (RFC 7396). It returns and throws as `set`.
   *
   * @param {JsonObject} patch the changed members; null removes one
   * @param {EditOptions} [options]
   */
  merge(patch, options) {
    return this.#do({ merge: patch }, options);
  }

  /**
   * Applies a JSON Patch (RFC 6902). It returns and throws as `set`.
   *
   * @param {{op: string, path: string, from?: string, value?: Json}[]} operations applied in this order, all or none
   * @param {EditOptions} [options]
   */
  patch(operations, options) {
    return this.#do({ patch: operations }, options);
  }

  /**
   * Adds amounts to Core's newest numbers. It returns and throws as `set`.
   *
   * @param {{[pointer: string]: number}} numbers the amounts, integers, by JSON Pointer
   * @param {EditOptions} [options]
   */
  add(numbers, options) {
    return this.#do({ add: numbers }, options);
  }

  /**
   * Deletes the document. It returns and throws as `set`.
   *
   * @param {EditOptions} [options]
   */
  delete(options) {
    return this.#do({ delete: true }, options);
  }

  /**
   * Lets Core run the operator's function on the newest value. It returns and throws as `set`.
   *
   * @param {string} name the function's, from the definition of the document's key
   * @param {Json} [args] what the function gets
   * @param {EditOptions} [options]
   */
  call(name, args = null, options = undefined) {
    return this.#do({ call: { name, arguments: args } }, options);
  }

  /**
   * Resolves the conflict; like an edit it is stored and shown when the promise is fulfilled.
   *
   * @param {JsonObject} value the document's value from now on
   * @throws {StateError} there is no conflict, or the value breaks a rule
   * @throws {StateStoreError} it cannot be stored
   * @throws {ClosedError} the client is closed
   */
  async resolve(value) {
    const { outcome } = await this.#shared.tab.resolve(this.#waiting(), copy(value));
    return new EditHandle(outcome);
  }

  /**
   * Resolves the conflict by keeping Core's value.
   *
   * @throws {StateError} there is no conflict
   * @throws {ClosedError} the client is closed
   */
  async discard() {
    await this.#shared.tab.resolve(this.#waiting(), null);
  }

  /**
   * Calls `callback` when a part of the document changes. Returns the unsubscriber.
   *
   * @param {(document: SharedDocument) => void} callback called with this document
   * @param {string} [path] the part, as a JSON Pointer; without one: any change of value, version, pending or meta
   * @returns {() => void}
   * @throws {PointerError} the path is not a JSON Pointer
   */
  subscribe(callback, path = "") {
    return this.#shared.tab.observe([this.name], parsePointer(path), () => callback(this));
  }

  /**
   * A page of history, newest last; `next` null: it is the last page.
   *
   * @param {{after?: number, limit?: number}} [options] `after`: events after this version, or the page after the one
   *   with this `next`; `limit`: the most events of the page
   * @returns {Promise<{events: import("../types.js").HistoryEvent[], next: number | null}>}
   * @throws {Error} Core does not return it, or there is no access token
   */
  async history({ after = 0, limit = 100 } = {}) {
    const { api, transport } = this.#shared;
    return api.history(this.channel, this.key, after, limit, await transport.accessToken());
  }

  get #view() {
    return this.#shared.tab.view(this.name);
  }

  /**
   * @param {any} operation
   * @param {EditOptions} [options]
   */
  #do(operation, { metadata } = {}) {
    return this.#shared.make(this, operation, metadata);
  }

  #waiting() {
    const { conflict } = this.#view;
    if (conflict === null) throw new StateError(`${this.key} has no conflict to decide`);
    return conflict.id;
  }
}

/** The documents of one channel. */
export class StateChannel {
  /** @type {SharedState} */
  #shared;

  /**
   * @param {SharedState} shared makes the edits, and knows what is shown
   * @param {string} channel the full name of a followed channel, `private` or `session`
   */
  constructor(shared, channel) {
    this.#shared = shared;
    this.channel = channel;
  }

  /**
   * The document of this key, whether it exists or not.
   *
   * @param {string} key the document's key in this channel
   */
  get(key) {
    return new SharedDocument(this.#shared, this.channel, key);
  }

  /**
   * This client's own document for a key with the lifetime `session`. Core deletes it after the client was
   * closed for a day. If the client gets another id, it is another document: call this again.
   *
   * @param {string} key as the operator has defined it, without the client id
   * @throws {StateError} the client has no id yet: `client.state.clientId` is null
   */
  session(key) {
    const { clientId } = this.#shared.tab.facts;
    if (clientId === null) throw new StateError("this client has no id yet");
    return this.get(sessionKey(key, clientId));
  }

  /** The sorted keys of the documents that Core has; of `private`, of all documents. */
  get keys() {
    return this.#shared.tab.keys(this.channel);
  }
}

/** All documents of one client. */
export class SharedState {
  #batch = /** @type {Batch | null} */ (null);

  /**
   * @param {{tab: import("./tab_state.js").TabState, api: import("./edits_api.js").EditsApi,
   *   transport: import("../transport.js").Transport}} parts `tab`: the documents; `api`: reads histories and
   *   definitions; `transport`: has the access token
   */
  constructor({ tab, api, transport }) {
    this.tab = tab;
    this.api = api;
    this.transport = transport;
  }

  /**
   * The documents of a followed channel, of `private`, or of `session`.
   *
   * @param {string} name the channel's full name
   * @throws {StateError} the channel is not followed, or carries no documents
   */
  channel(name) {
    if (this.tab.follows(name)) return new StateChannel(this, name);
    throw new StateError(`${name} is not a channel of documents that this client follows`);
  }

  /**
   * Calls `callback` once per batch that changes any of these documents. Returns the unsubscriber.
   *
   * @param {SharedDocument[]} documents of any channels
   * @param {() => void} callback reads the documents to see what has changed
   * @returns {() => void}
   */
  subscribe(documents, callback) {
    return this.tab.observe(documents.map(({ name }) => name), [], () => callback());
  }

  /**
   * Stores and sends the edits of `work` together; they are shown, and each observer is called once, when the
   * promise is fulfilled. If `work` throws, they are discarded.
   *
   * @param {() => void} work makes edits without waiting for anything
   * @param {{atomic?: boolean}} [options] `atomic`: Core applies all edits or none; they must be in one store
   * @returns {Promise<void>}
   * @throws {StateError} an edit does not fit its document, or another batch is open; and what `work` throws
   * @throws {StateStoreError} they cannot be stored
   * @throws {ClosedError} the client is closed
   */
  async batch(work, { atomic = false } = {}) {
    if (this.#batch !== null) throw new StateError("another batch is open: end it first");
    const batch = new Batch((name) => this.tab.view(name));
    this.#batch = batch;
    try {
      if (typeof (/** @type {any} */ (work())?.then) === "function") {
        throw new StateError("a batch must not be async: make its edits without await");
      }
    } catch (error) {
      for (const { reject } of batch.staged) reject(error);
      throw error;
    } finally {
      this.#batch = null;
    }
    await this.#send(batch, atomic);
  }

  /**
   * @param {Batch} batch
   * @param {boolean} atomic
   */
  async #send({ staged, fault }, atomic) {
    if (staged.length === 0 && fault === null) return;
    try {
      if (fault !== null) throw fault;
      const outcomes = await this.tab.edit(staged.map(({ wish }) => wish), { atomic });
      staged.forEach(({ resolve }, index) => resolve(new EditHandle(outcomes[index])));
    } catch (error) {
      for (const { reject } of staged) reject(error);
      throw error;
    }
  }

  /**
   * The shown values of all followed documents: {channel: {key: value}}.
   *
   * @returns {{[channel: string]: {[key: string]: JsonObject}}}
   */
  export() {
    const snapshot = /** @type {{[channel: string]: {[key: string]: JsonObject}}} */ ({});
    for (const name of this.tab.names()) {
      const [channel, key] = partsOf(name);
      const { value } = this.tab.view(name);
      if (value !== null) (snapshot[channel] ??= {})[key] = copy(value);
    }
    return snapshot;
  }

  /**
   * Sets the documents to the snapshot's values, by edits; other documents stay as they are.
   *
   * @param {{[channel: string]: {[key: string]: JsonObject}}} snapshot as `export` returns it
   * @returns {Promise<EditHandle[]>} one for each document that differs
   * @throws {StateError} a value breaks a rule, or a channel is not followed; nothing is edited
   * @throws {StateStoreError} the edits cannot be stored
   * @throws {ClosedError} the client is closed
   */
  async restore(snapshot) {
    const wishes = [];
    for (const [channel, documents] of Object.entries(snapshot)) {
      for (const [key, value] of Object.entries(documents)) {
        if (same(this.tab.view(nameOf(channel, key)).value, value)) continue;
        wishes.push({ channel, key, do: copy(checkOperation({ set: value })) });
      }
    }
    if (wishes.length === 0) return [];
    return (await this.tab.edit(wishes)).map((outcome) => new EditHandle(outcome));
  }

  /**
   * The definitions of the keys, as declared by Core's operator.
   *
   * @returns {Promise<any[]>}
   * @throws {Error} Core does not return them, or there is no access token
   */
  async definitions() {
    return this.api.definitions(await this.transport.accessToken());
  }

  /**
   * A document's value, with the edits of an open batch.
   *
   * @param {string} name the document's, as nameOf makes it
   * @returns {JsonObject | null}
   */
  valueOf(name) {
    return this.#batch === null ? this.tab.view(name).value : this.#batch.value(name);
  }

  /**
   * Makes one edit, or stages it in the batch that is open.
   *
   * @param {SharedDocument} document the one to change
   * @param {any} operation what the edit does, in the form of the wire
   * @param {JsonObject} [metadata] kept with the change in the history
   */
  make(document, operation, metadata) {
    const made = this.#make(document, operation, metadata);
    // The batch throws this error.
    if (this.#batch !== null) made.catch(() => {});
    return made;
  }

  /**
   * If a batch is open, the edit is added to it before anything is awaited.
   *
   * @param {SharedDocument} document
   * @param {any} operation
   * @param {JsonObject} [metadata]
   * @returns {Promise<EditHandle>}
   */
  async #make({ channel, key, name }, operation, metadata) {
    try {
      // The program may change its object later; the edit must not change with it.
      const made = copy(checkOperation(operation));
      const wish = { channel, key, do: made, metadata: metadata === undefined ? undefined : copy(metadata) };
      if (this.#batch !== null && !isPrivate(channel)) return await this.#batch.stage(wish);
      if (!isPrivate(channel)) return new EditHandle((await this.tab.edit([wish]))[0]);
      await this.tab.editPrivate(name, made);
      const { version } = this.tab.view(name);
      return new EditHandle(Promise.resolve({ n: 0, outcome: "applied", version }));
    } catch (error) {
      if (this.#batch !== null) this.#batch.fault ??= error;
      throw error;
    }
  }
}

/**
 * @typedef {object} StateFacts
 * @property {string | null} clientId the client id at Core; null: it has none yet
 * @property {number} waiting how many edits and commands Core has not answered
 * @property {boolean} isKept whether they survive the page; false if the browser forbids storage
 * @property {string | null} sendingError why the last attempt to send or store them failed
 * @property {string | null} lastError the last error of a resolver or an observer
 */

/**
 * @typedef {((channel: string) => StateChannel) & Readonly<StateFacts>
 *   & Pick<SharedState, "subscribe" | "batch" | "export" | "restore" | "definitions">} State
 */

/**
 * `client.state`: a function that returns a channel's documents, with the other methods of SharedState.
 *
 * @param {SharedState} shared the documents of the client
 * @returns {State}
 */
export function stateOf(shared) {
  const state = /** @type {any} */ ((/** @type {string} */ channel) => shared.channel(channel));
  for (const name of ["subscribe", "batch", "export", "restore", "definitions"]) {
    state[name] = (/** @type {any[]} */ ...given) => /** @type {any} */ (shared)[name](...given);
  }
  const facts = ["clientId", "waiting", "isKept", "sendingError"];
  for (const name of facts) Object.defineProperty(state, name, { get: () => shared.tab.facts[name] });
  Object.defineProperty(state, "lastError", { get: () => shared.tab.lastError ?? shared.tab.facts.lastError });
  return state;
}
