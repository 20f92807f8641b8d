// The shared state in one tab: from the engine in the leading tab, from its messages in the others.
//
// The leading tab (tabs.js) has the only queue and sends. The others send it requests for edits, each with a
// unique name, so that a request that is repeated after the leading tab was closed is done once. They show what
// the leading tab shows, including the pending edits of all tabs. Documents of `session` never leave the tab.

import { nameOf, partsOf } from "../state/entries.js";
import { Engine } from "./engine.js";
import { ClosedError, StateError, StateStoreError } from "../contract/state/errors.js";
import { MemoryStore } from "../state/memory_store.js";
import { Observers } from "../state/observers.js";
import { NO_COMMANDS } from "../state/orders/view.js";
import { PrivateDocuments, isPrivate } from "../state/private.js";

const NONE = { value: null, version: 0, pending: 0, leftOut: 0, conflict: null, error: null };
const KINDS = { StateStoreError, ClosedError, StateError, Error };
/** @type {Facts} */
const NOTHING = { clientId: null, waiting: 0, isKept: true, sendingError: null, lastError: null, keys: {}, synced: [] };

/**
 * @typedef {object} Facts the facts about all documents
 * @property {string | null} clientId
 * @property {number} waiting how many edits and commands Core has not answered
 * @property {boolean} isKept whether edits and commands survive the page
 * @property {string | null} sendingError
 * @property {string | null} lastError
 * @property {{[channel: string]: string[]}} keys
 * @property {string[]} synced the channels of which a snapshot has been received
 */

/** The name that stands for all documents of this one's channel. */
const wholeOf = (name) => nameOf(partsOf(name)[0], "");
const isWhole = (name) => name === wholeOf(name);

/** Takes documents from Client, and serves SharedState. */
export class TabState {
  /** The last error of this tab's own observers. */
  lastError = /** @type {string | null} */ (null);
  #parts;
  #session = new PrivateDocuments();
  #observers = new Observers((name) => this.view(name));
  #engine = /** @type {Engine | null} */ (null);
  #opening = /** @type {Promise<void> | null} */ (null);
  #early = /** @type {any[]} */ ([]);
  #views = new Map();
  /** The documents that this tab has sent to the others. */
  #sent = new Set();
  #facts = NOTHING;
  #channel = /** @type {BroadcastChannel | null} */ (null);
  #questions = new Map();
  #outcomes = new Map();
  #changed = new Set();
  #own = NO_COMMANDS;
  #orderObservers = new Set();
  #ordersChanged = false;
  #released = Promise.resolve();
  #closed = false;
  #isKept = true;

  /**
   * @param parts as Engine's, less `store` and `told`, and with `openStore`, () → a store, and `name`, which
   *   the tabs of this subject share
   */
  constructor(parts) {
    this.#parts = parts;
    try {
      if (globalThis.navigator?.locks) this.#channel = new BroadcastChannel(`${parts.name} state`);
    } catch {
      // Not supported, or forbidden like storage: then each tab leads for itself.
    }
    if (this.#channel) {
      this.#channel.onmessage = ({ data }) => this.#heard(data);
      this.#post({ type: "join" });
    }
  }

  // ── what the client of this tab says ─────────────────────────────────────────────────────────

  /** This tab leads from now on; done when its store is open. */
  lead() {
    // It checks whether it is still wanted, so it must not start before it is stored here.
    this.#opening ??= this.#released.then(() => this.#open());
    return this.#opening;
  }

  /**
   * Takes a command of the machine for documents.
   *
   * @param command a DeliverDocument or a CheckDocuments
   */
  take(command) {
    if (this.#engine === null) {
      if (this.#opening) this.#early.push(command);
      return;
    }
    this.#engine.take(command);
  }

  /**
   * The book of orders has changed, as Client tells it; all as for OrderDesk.booked.
   *
   * @param changes what has changed, each {id, order}
   * @param epoch the epoch of the log that the changes come from
   * @param anew these, if a channel was reset: {channel, sameLog}; null: none was reset
   */
  booked(changes, epoch, anew) {
    this.#engine?.desk.booked(changes, epoch, anew);
  }

  /** Core is reachable. */
  online() {
    this.#engine?.online();
  }

  /** The client of this tab is closed: another tab may lead. Fulfilled when everything is stored. */
  release() {
    const opening = this.#opening;
    this.#opening = null;
    this.#early = [];
    this.#released = this.#released.then(() => this.#letGo(opening));
    return this.#released;
  }

  /** Ends it for good. */
  async close() {
    this.#closed = true;
    await this.release();
    this.#channel?.close();
    const error = new ClosedError("the client was closed before Core answered");
    for (const { reject } of [...this.#questions.values(), ...this.#outcomes.values()]) reject(error);
    this.#questions.clear();
    this.#outcomes.clear();
  }

  // ── what a program asks ──────────────────────────────────────────────────────────────────────

  /**
   * Whether the channel's documents are available here.
   *
   * @param channel its full name, `private` or `session`
   */
  follows(channel) {
    return isPrivate(channel) || this.#parts.channels.includes(channel);
  }

  /**
   * The document as it is shown.
   *
   * @param {string} name the document's, as nameOf makes it
   * @returns {import("../types.js").DocumentView}
   * @throws {StateError} its channel is not followed
   */
  view(name) {
    const [channel] = partsOf(name);
    if (!this.follows(channel)) throw new StateError(`${channel} is not followed`);
    if (channel === "session") return this.#session.view(name);
    if (this.#engine === null) {
      return this.#views.get(name) ?? { ...NONE, loading: !this.#facts.synced.includes(channel) };
    }
    return channel === "private" ? this.#engine.private.view(name) : this.#engine.replica.view(name);
  }

  /**
   * The facts about all documents.
   *
   * @returns {Facts}
   */
  get facts() {
    const engine = this.#engine;
    if (engine === null) return this.#facts;
    const { replica, sendingError, lastError } = engine;
    const channels = [...replica.channels].map(([name, { all }]) => [name, all.map(({ key }) => key).sort()]);
    const keys = { ...Object.fromEntries(channels), private: engine.private.keys("private") };
    const synced = [...replica.channels].filter(([, one]) => one.synced).map(([name]) => name);
    const { client: clientId, unanswered } = replica.queue;
    return { clientId, waiting: unanswered.length, isKept: this.#isKept, sendingError, lastError, keys, synced };
  }

  /**
   * The sorted keys of the existing documents, without those that exist only in pending edits.
   *
   * @param {string} channel its full name
   * @returns {string[]}
   */
  keys(channel) {
    return channel === "session" ? this.#session.keys(channel) : (this.facts.keys[channel] ?? []);
  }

  /** The names of all documents that are known, or edited, in channels. */
  names() {
    return [...this.#names()].filter((name) => !isPrivate(partsOf(name)[0])).sort();
  }

  /**
   * Subscribes, as Observers.add. Returns the unsubscriber.
   *
   * @param {string[]} names the documents' names
   * @param {string[]} path the part of each to compare, as parsePointer returns it; empty: the whole document
   * @param {(names: string[]) => void} call called with the names of those that have changed
   * @returns {() => void}
   */
  observe(names, path, call) {
    return this.#observers.add(names, path, call);
  }

  /** What this subject's tabs know about orders in addition to Core's log, in the form of orders/view.js. */
  get own() {
    return this.#engine?.desk.queue.own ?? this.#own;
  }

  /**
   * Calls `call` once per batch of changes of orders. Returns the unsubscriber.
   *
   * @param {() => void} call reads `own` to see what has changed
   * @returns {() => void}
   */
  observeOrders(call) {
    const observer = { call };
    this.#orderObservers.add(observer);
    return () => void this.#orderObservers.delete(observer);
  }

  /** The shown orders have changed. */
  noteOrders() {
    if (!this.#ordersChanged) queueMicrotask(() => this.#tellOrders());
    this.#ordersChanged = true;
  }

  /**
   * Makes an order command, stored when this is done. It throws as Engine.command.
   *
   * @param wish what the program asks for, as CommandQueue.prepare takes it
   * @returns these: {id, outcome}: its id in the queue, and a promise of Core's answer
   */
  async command(wish) {
    const [id] = await this.#ask("command", wish);
    return { id, outcome: this.#outcomeOf(id) };
  }

  /**
   * Makes edits, stored when this is done. It throws as Engine.edit.
   *
   * @param {any[]} wishes what the program asks for, each with channel, key, do and metadata
   * @param {{atomic?: boolean}} [options] `atomic`: Core applies all of them or none
   * @returns {Promise<Promise<any>[]>} for each a promise of its outcome
   */
  async edit(wishes, { atomic = false } = {}) {
    const ids = await this.#ask("edit", { wishes, atomic });
    return ids.map((id) => this.#outcomeOf(id));
  }

  /**
   * Resolves a conflict, stored when this is done. It throws as Engine.resolve.
   *
   * @param {number} id the conflict's
   * @param {any} value the new value; null: Core's stays
   * @returns {Promise<{outcome: Promise<any>}>} `outcome`: of the edit; null if Core's value stays
   */
  async resolve(id, value) {
    const [made] = await this.#ask("resolve", { id, value });
    return { outcome: made === undefined ? Promise.resolve(null) : this.#outcomeOf(made) };
  }

  /**
   * Changes a document that never leaves the device. It throws as Engine.editPrivate.
   *
   * @param name the document's, as nameOf makes it
   * @param operation what the edit does, in the form of the wire
   */
  async editPrivate(name, operation) {
    if (partsOf(name)[0] !== "session") {
      await this.#ask("private", { name, operation });
      return;
    }
    this.#session.show(name, this.#session.changed(name, operation));
    this.#note(new Set([name]));
  }

  async #letGo(opening) {
    await opening?.catch(() => {});
    const engine = this.#engine;
    if (engine === null) return;
    for (const name of this.#names()) this.#views.set(name, this.view(name));
    this.#facts = this.facts;
    this.#own = this.own;
    this.#engine = null;
    await engine.stop();
  }

  // ── leading ──────────────────────────────────────────────────────────────────────────────────

  async #open() {
    const { subject } = this.#parts;
    let store = this.#parts.openStore();
    let stored;
    try {
      stored = await store.open(subject);
    } catch (error) {
      if (!(error instanceof StateStoreError)) throw error;
      // A browser may forbid storage; then the memory is used.
      this.lastError = error.message;
      store = new MemoryStore();
      stored = await store.open(subject);
    }
    this.#isKept = !(store instanceof MemoryStore);
    if (this.#opening === null) {
      store.close();
      return;
    }
    const told = (news) => this.#told(news);
    const engine = new Engine(stored, { ...this.#parts, subject, store, told }, this.#own);
    this.#engine = engine;
    for (const command of this.#early.splice(0)) engine.take(command);
    engine.start();
    this.#note(this.#names());
    this.noteOrders();
    this.#post({ type: "lead", ...this.#everything() });
    for (const [asked, { kind, told: question }] of this.#questions) this.#serve(asked, kind, question);
  }

  #told({ changed, outcomes, orders = false }) {
    for (const [id, outcome] of outcomes) this.#settle(id, outcome);
    if (orders) this.noteOrders();
    this.#note(changed);
    const whole = [...changed].filter(isWhole);
    const known = [...this.#sent].filter((name) => whole.includes(wholeOf(name)));
    const names = new Set([...changed, ...known].filter((name) => !isWhole(name)));
    const own = orders ? { own: this.own } : {};
    this.#post({ type: "news", views: this.#viewsOf(names), whole, outcomes, facts: this.facts, ...own });
  }

  #everything() {
    return { views: this.#viewsOf(this.#names()), whole: [], facts: this.facts, own: this.own };
  }

  #viewsOf(names) {
    return [...names].map((name) => {
      this.#sent.add(name);
      return [name, this.view(name)];
    });
  }

  #names() {
    const { replica } = this.#engine ?? {};
    if (replica === undefined) return new Set(this.#views.keys());
    const own = Object.entries(this.facts.keys).flatMap(([of, keys]) => keys.map((key) => `${of} ${key}`));
    const waiting = [...replica.waiting.values()].map(({ channel, key }) => `${channel} ${key}`);
    return new Set([...own, ...waiting, ...replica.queue.entries.map((entry) => entry.document)]);
  }

  // ── questions ────────────────────────────────────────────────────────────────────────────────

  #ask(kind, told) {
    if (this.#closed) return Promise.reject(new ClosedError("the client is closed"));
    if (this.#engine) return this.#do(null, kind, told);
    const asked = `${Date.now()}-${Math.random()}`;
    return new Promise((resolve, reject) => {
      this.#questions.set(asked, { kind, told, resolve, reject });
      // If this tab becomes the leading one soon, it answers itself.
      this.#post({ type: "ask", asked, kind, told });
    });
  }

  #do(asked, kind, told, made = (ids) => ids.forEach((id) => this.#outcomeOf(id))) {
    const engine = /** @type {Engine} */ (this.#engine);
    if (kind === "edit") return engine.edit(told.wishes, { atomic: told.atomic, asked, made });
    if (kind === "command") return engine.command(told, { asked, made });
    if (kind === "resolve") return engine.resolve(told.id, told.value, { asked, made });
    return engine.editPrivate(told.name, told.operation);
  }

  async #serve(asked, kind, told) {
    const answer = (told) => {
      this.#answered({ asked, ...told });
      this.#post({ type: "answer", asked, ...told });
    };
    const made = (ids) => answer({ ids, gone: ids.filter((id) => !this.#engine?.has(id)) });
    try {
      const ids = await this.#do(asked, kind, told, made);
      // A request without an edit in the queue is answered when it is done.
      if (ids === undefined || ids.length === 0) answer({ ids: [], gone: [] });
    } catch (error) {
      const name = Object.keys(KINDS).find((one) => error instanceof KINDS[one]) ?? "Error";
      answer({ error: { name, message: error.message } });
    }
  }

  #answered({ asked, ids, gone, error }) {
    const question = this.#questions.get(asked);
    if (question === undefined) return;
    this.#questions.delete(asked);
    if (error) {
      question.reject(new KINDS[error.name](error.message));
      return;
    }
    for (const id of ids) this.#outcomeOf(id);
    question.resolve(ids);
    // What is not in the queue any more was settled while no tab listened.
    const lost = new ClosedError("its answer came to a tab that is gone");
    for (const id of gone) this.#outcomes.get(id)?.reject(lost);
  }

  #outcomeOf(id) {
    if (!this.#outcomes.has(id)) {
      const made = {};
      made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
      made.promise.catch(() => {}); // avoids an error if no program waits for this promise
      this.#outcomes.set(id, made);
    }
    return this.#outcomes.get(id).promise;
  }

  #settle(id, outcome) {
    this.#outcomes.get(id)?.resolve(outcome);
    this.#outcomes.delete(id);
  }

  // ── what tabs tell each other ────────────────────────────────────────────────────────────────

  #heard(message) {
    const { type } = message;
    if (this.#engine) {
      if (type === "ask") this.#serve(message.asked, message.kind, message.told);
      else if (type === "join") this.#post({ type: "news", outcomes: [], ...this.#everything() });
      return;
    }
    if (type === "answer") this.#answered(message);
    if (type !== "news" && type !== "lead") return;
    if (type === "lead") this.#views.clear();
    for (const [name, view] of message.views) this.#views.set(name, view);
    const isNews = `${message.facts.synced}` !== `${this.#facts.synced}`;
    this.#facts = message.facts;
    if (message.own) {
      this.#own = message.own;
      this.noteOrders();
    }
    if (isNews) this.#note(this.#observers.names);
    for (const [id, outcome] of message.outcomes ?? []) this.#settle(id, outcome);
    this.#note(new Set([...message.whole, ...message.views.map(([name]) => name)]));
    if (type !== "lead") return;
    for (const [asked, { kind, told }] of this.#questions) this.#post({ type: "ask", asked, kind, told });
  }

  #post(message) {
    if (!this.#closed) this.#channel?.postMessage(message);
  }

  /** Notifies the observers, once per batch of changes. */
  #note(changed) {
    if (this.#changed.size === 0 && changed.size > 0) queueMicrotask(() => this.#tell());
    for (const name of changed) this.#changed.add(name);
  }

  #tellOrders() {
    this.#ordersChanged = false;
    for (const { call } of [...this.#orderObservers]) this.#call(call);
  }

  #tell() {
    const changed = this.#changed;
    this.#changed = new Set();
    for (const [observer, names] of this.#observers.told(changed)) this.#call(() => observer.call(names));
  }

  #call(call) {
    try {
      call();
    } catch (error) {
      this.lastError = `an observer failed: ${error?.message ?? error}`;
      globalThis.reportError?.(error);
    }
  }
}
