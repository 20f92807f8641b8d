// The shell around the replica, in the leading tab: stores edits before they are shown. Order commands are in
// the same queue; order_desk.js is the shell around those.
//
// As client_sdk/shared_state/engine.py. tab_state.js notifies the observers.

import { checkDocumentValue } from "../contract/state/values.js";
import { ClosedError, StateError } from "../contract/state/errors.js";
import { Journal } from "./journal.js";
import { Loader, Sender } from "./sender.js";
import { CommandQueue } from "../state/orders/command_queue.js";
import { stillAhead } from "../state/orders/kept_answers.js";
import { NO_COMMANDS } from "../state/orders/view.js";
import { OrderDesk } from "./order_desk.js";
import { SessionRenewal } from "./session_renewal.js";
import { checkCommand } from "../state/orders/commands.js";
import { PrivateDocuments } from "../state/private.js";
import { subjectOf } from "../state/subject.js";
import { queueOf } from "../state/records.js";
import { Replica } from "../state/replica.js";

/** So many answers to what other tabs asked are remembered. */
const MAX_ASKED = 200;

/** The running shared state of one subject. */
export class Engine {
  /** The last error in a resolver. */
  lastError = /** @type {string | null} */ (null);
  #parts;
  #journal;
  #sender;
  #loader;
  #asked;
  #last = Promise.resolve();
  #renewal;
  #closed = false;

  /**
   * @param stored the records from the store
   * @param parts these: {store, channels, followed, book, log, resolvers, calls, newClient, api, transport, subject,
   *   settings, uniform, clock, coreTime, differs, told}: `channels` are those of documents, `followed` are all;
   *   `book()` returns Core's orders, `log()` their positions in Core's log, {epoch, positions};
   *   `told({changed, outcomes, orders})` is called with the effects of inputs (`orders`: whether they concern
   *   commands), `differs(channel)` when documents have another digest than Core's
   * @param own what this tab learned about orders from the previous leading tab, in the form of orders/view.js
   * @throws ContractError, StateStoreError what is stored is damaged
   */
  constructor(stored, parts, own = NO_COMMANDS) {
    this.#parts = parts;
    const { channels, resolvers, calls, newClient } = parts;
    const kept = channels.map((name) => [name, stored.documents.filter((d) => d.channel === name)]);
    this.replica = new Replica(queueOf(stored, newClient), Object.fromEntries(kept), {
      waiting: stored.waiting,
      calls,
      resolved: Object.keys(resolvers),
    });
    this.private = new PrivateDocuments(stored.private);
    this.#asked = new Map(stored.asked.map(({ asked, ids }) => [asked, ids]));
    this.#journal = new Journal(parts.store);
    const { replica } = this;
    const journal = this.#journal;
    const loaded = (channel) => {
      if (replica.agreesNow(channel) === false) parts.differs(channel);
      this.pump();
    };
    const { answers, commands } = stored;
    const { book, log, followed } = parts;
    const answered = stillAhead(answers, log(), book());
    const orders = followed.filter((name) => !channels.includes(name));
    const here = log()?.epoch ?? "";
    const queue = new CommandQueue(commands.map(checkCommand), { ...own, ...answered }, orders, here);
    const desk = {
      ...{ replica, journal, book, log, followed },
      time: () => this.#time(),
      alone: (work) => this.#alone(work),
      told: (outcomes) => parts.told({ changed: new Set(), outcomes, orders: true }),
    };
    this.desk = new OrderDesk(queue, desk, answers);
    this.#sender = new Sender({ ...parts, replica, desk: this.desk, journal, pump: () => this.pump() });
    this.#loader = new Loader({ ...parts, replica, loaded });
    const failed = (detail) => (this.lastError = `the session was not renewed: ${detail}`);
    this.#renewal = new SessionRenewal({ ...parts, renew: () => this.#renew(), failed });
  }

  /** Why the last attempt to send or store edits failed; null: it succeeded. */
  get sendingError() {
    return this.#sender.worker.lastError ?? this.#journal.lastError;
  }

  /** Starts to send, fetch and store. */
  start() {
    for (const waiting of this.replica.waiting.values()) this.#decide(waiting);
    this.pump();
  }

  /** Stores what is not stored yet, and stops. */
  async stop() {
    if (this.#closed) return;
    this.#closed = true;
    this.#sender.worker.close();
    this.#loader.worker.close();
    this.#renewal.close();
    this.#journal.put(this.replica.drain().writes);
    await this.#last;
    await this.#journal.close().catch(() => {});
  }

  // ── what comes in ────────────────────────────────────────────────────────────────────────────

  /**
   * Takes a command of the machine for documents.
   *
   * @param command a DeliverDocument or a CheckDocuments
   */
  take(command) {
    if (this.#closed) return;
    if (command.type === "DeliverDocument") this.replica.take(command.change, command.epoch);
    else if (this.replica.agrees(command.channel, command.contentDigest) === false) {
      this.#parts.differs(command.channel);
    }
    this.pump();
  }

  /** Core is reachable: tries to send now. */
  online() {
    this.#sender.worker.hurry();
    this.#loader.worker.hurry();
    this.#renewal.online();
  }

  /**
   * Makes edits; they are stored and shown when the promise is fulfilled, with their ids in the queue.
   *
   * @param wishes what the program asks for, each {channel, key, do, metadata}
   * @param options these: {atomic, decides, asked, made}: `atomic`: Core applies all of them or none; `decides`: the
   *   id of the conflict that they resolve, null: none; `asked`: a name of this request, null: none; a repeated
   *   request of the same name gets the same ids; `made` is called with the ids at once, before any outcome
   * @throws StateError one of them does not fit the document shown, or the conflict was decided; none is made
   * @throws StateStoreError they cannot be stored; none is made
   * @throws ClosedError the engine has stopped
   */
  edit(wishes, { atomic = false, decides = null, asked = null, made = /** @type {(ids: number[]) => void} */ (() => {}) } = {}) {
    return this.#alone(async () => {
      const known = this.#asked.get(asked);
      const ids = known ?? (await this.#edit(wishes, atomic, decides, asked));
      made(ids);
      this.pump();
      return ids;
    });
  }

  /**
   * Makes an order command; it is stored and shown when the promise is fulfilled.
   *
   * @param wish what the program asks for, as CommandQueue.prepare takes it
   * @param options these: {asked, made}, as for `edit`
   * @returns a promise of its id in the queue, in a list
   * @throws StateError it is malformed or too large, too many wait, or the command that it depends on was refused
   * @throws StateStoreError it cannot be stored
   * @throws ClosedError the engine has stopped
   */
  command(wish, { asked = null, made = /** @type {(ids: number[]) => void} */ (() => {}) } = {}) {
    return this.#alone(async () => {
      const remembering = (id) => (asked === null ? [] : this.#remembering(asked, [id]));
      const ids = this.#asked.get(asked) ?? [await this.desk.make(wish, remembering)];
      if (asked !== null) this.#asked.set(asked, ids);
      made(ids);
      this.pump();
      return ids;
    });
  }

  /**
   * Changes a document of `private`; it throws as `edit` does.
   *
   * @param name the document's, as nameOf makes it
   * @param operation what the edit does, in the form of the wire
   */
  editPrivate(name, operation) {
    return this.#alone(async () => {
      const changed = this.private.changed(name, operation);
      await this.#journal.commit(this.private.writesOf(name, changed));
      this.private.show(name, changed);
      this.#parts.told({ changed: new Set([name]), outcomes: [] });
    });
  }

  /**
   * Resolves a conflict; it throws as `edit` does.
   *
   * @param id the conflict's
   * @param value the new value; null: Core's stays
   * @param options these: {asked, made}, as for `edit`
   * @returns a promise of the ids of the edits that this takes: one, or none
   */
  async resolve(id, value, options = {}) {
    const waiting = this.replica.waiting.get(id);
    if (waiting === undefined) {
      if (this.#asked.has(options.asked)) return this.edit([], options);
      throw new StateError("this conflict was already decided");
    }
    if (value === null) {
      this.replica.decided(waiting);
      this.pump();
      return [];
    }
    checkDocumentValue(value);
    const { channel, key } = waiting;
    const wish = { channel, key, do: { set: value } };
    return this.edit([wish], { ...options, decides: id });
  }

  // ── what goes out ────────────────────────────────────────────────────────────────────────────

  /** Whether the edit or the command of this id is still in the queue. */
  has(id) {
    const all = [...this.replica.queue.entries, ...this.desk.queue.entries];
    return all.some((entry) => entry.id === id);
  }

  /** Processes the effects of the inputs. An answer after the end is left to the next start. */
  pump() {
    if (this.#closed) return;
    const { writes, changed, outcomes, conflicts } = this.replica.drain();
    this.#journal.put(writes);
    for (const waiting of conflicts) this.#decide(waiting);
    if (changed.size > 0 || outcomes.length > 0) this.#parts.told({ changed, outcomes });
    this.#sender.worker.wake();
    this.#loader.worker.wake();
  }

  async #edit(wishes, atomic, decides, asked) {
    const { replica } = this;
    const waiting = replica.waiting.get(decides);
    if (decides !== null && waiting === undefined) throw new StateError("this conflict was already decided");
    let ids = null;
    while (ids === null) {
      const writes = replica.prepare(wishes, this.#time(), atomic, decides);
      if (decides !== null) writes.push({ type: "DropWaiting", id: decides });
      const places = writes.filter(({ type }) => type === "PutEntry").map(({ row }) => row.id);
      if (asked !== null) writes.push(...this.#remembering(asked, places));
      try {
        await this.#journal.commit(writes);
      } catch (error) {
        replica.queue.abandon();
        throw error;
      }
      ids = replica.accept();
    }
    if (asked !== null) this.#asked.set(asked, ids);
    if (waiting !== undefined) replica.decided(waiting);
    return ids;
  }

  #remembering(asked, ids) {
    const writes = /** @type {object[]} */ ([{ type: "PutAsked", asked, ids }]);
    if (this.#asked.size >= MAX_ASKED) {
      const [oldest] = this.#asked.keys();
      this.#asked.delete(oldest);
      writes.push({ type: "DropAsked", asked: oldest });
    }
    return writes;
  }

  /** Renews the client's session: Core's answer, or null if there is none to renew. Throws if there is no token. */
  async #renew() {
    const { api, transport, subject } = this.#parts;
    const { client } = this.replica.queue;
    const known = [...this.replica.channels.values()].flatMap(({ all }) => all);
    if (!known.some(({ key }) => key.endsWith(`.${client}`))) return null;
    const token = await transport.accessToken();
    // A request with another subject's token would not renew this session.
    return subjectOf(token) === subject ? api.settled(client, token) : null;
  }

  #time() {
    const seconds = this.#parts.coreTime();
    return seconds === null ? null : new Date(seconds * 1000).toISOString();
  }

  #decide(waiting) {
    const resolver = this.#parts.resolvers[waiting.key];
    if (resolver === undefined) return;
    this.#resolved(waiting, resolver).catch((error) => {
      // The conflict stays with the document, where a person can resolve it.
      this.lastError = `the resolver of ${waiting.key} failed: ${error?.message ?? error}`;
    });
  }

  async #resolved({ id, channel, key, conflict }, resolver) {
    const known = () => this.replica.channels.get(channel)?.get(key)?.value ?? null;
    const current = conflict.current === undefined ? known() : conflict.current;
    const value = await resolver(key, conflict.base ?? null, current, conflict.own ?? null);
    await this.resolve(id, value ?? null);
  }

  /** One edit at a time, as the numbers must be consecutive. */
  #alone(work) {
    const done = this.#last.then(() => {
      if (this.#closed) throw new ClosedError("the client is closed");
      return work();
    });
    this.#last = done.catch(() => {});
    return done;
  }
}
