// The shell around the replica, in the tab that leads: edits are kept before they are shown. Commands to
// orders stand in the same queue; order_desk.js is the shell around those.
//
// As client_sdk/shared_state/engine.py. Who is told of what, tab_state.js knows.

import { checkDocumentValue } from "../contract/state/values.js";
import { ClosedError, StateError } from "../contract/state/errors.js";
import { Journal } from "./journal.js";
import { Loader, Sender } from "./sender.js";
import { CommandQueue } from "../state/orders/command_queue.js";
import { stillAhead } from "../state/orders/kept_answers.js";
import { NO_COMMANDS } from "../state/orders/view.js";
import { OrderDesk } from "./order_desk.js";
import { checkCommand } from "../state/orders/commands.js";
import { PrivateDocuments } from "../state/private.js";
import { subjectOf } from "../state/subject.js";
import { queueOf } from "../state/records.js";
import { Replica } from "../state/replica.js";

/** How often Core is told that the session goes on, in milliseconds; without that it ends after a day. */
const RENEW_EVERY_MS = 3 * 3_600_000;
/** So many answers to what other tabs asked are remembered. */
const MAX_ASKED = 200;

/** The shared state of one subject, running. */
export class Engine {
  /** What went wrong in a resolver, last. */
  lastError = /** @type {string | null} */ (null);
  #parts;
  #journal;
  #sender;
  #loader;
  #asked;
  #last = Promise.resolve();
  #renewal = /** @type {number | null} */ (null);
  #closed = false;

  /**
   * @param stored what the store gave
   * @param parts these: {store, channels, followed, book, log, resolvers, calls, newClient, api, transport, subject,
   *   settings, uniform, clock, coreTime, differs, told}: `channels` are those of documents, `followed` are all;
   *   `book()` gives Core's orders, `log()` where they are in Core's log, {epoch, positions};
   *   `told({changed, outcomes, orders})` hears what has come of the inputs
   *   (`orders`: whether it is of commands), `differs(channel)` that documents have another digest than Core says
   * @param own what this tab was told of orders by the one that led before, as order_view.js has it
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
  }

  /** Why edits are not sent or not kept now, if the last try failed. */
  get sendingError() {
    return this.#sender.worker.lastError ?? this.#journal.lastError;
  }

  /** Sends, fetches and keeps from now on. */
  start() {
    for (const waiting of this.replica.waiting.values()) this.#decide(waiting);
    this.pump();
  }

  /** Keeps what is to be kept, and ends. */
  async stop() {
    if (this.#closed) return;
    this.#closed = true;
    this.#sender.worker.close();
    this.#loader.worker.close();
    clearInterval(this.#renewal ?? undefined);
    this.#journal.put(this.replica.drain().writes);
    await this.#last;
    await this.#journal.close().catch(() => {});
  }

  // ── what comes in ────────────────────────────────────────────────────────────────────────────

  /** Takes what the machine puts out for documents. */
  take(command) {
    if (this.#closed) return;
    if (command.type === "DeliverDocument") this.replica.take(command.change, command.epoch);
    else if (this.replica.agrees(command.channel, command.contentDigest) === false) {
      this.#parts.differs(command.channel);
    }
    this.pump();
  }

  /** Core answers: what waits may go out. */
  online() {
    this.#sender.worker.hurry();
    this.#loader.worker.hurry();
    if (this.#renewal !== null) return;
    const renew = () => this.#renew().catch((error) => (this.lastError = `the session was not renewed: ${error.message}`));
    this.#renewal = setInterval(renew, RENEW_EVERY_MS);
    renew();
  }

  /**
   * Makes edits; they are kept, and shown, when this is done. Their ids in the queue.
   *
   * @param atomic whether all take effect or none
   * @param decides the id of the conflict that it decides
   * @param asked a name of this question: who asks again, after a loss, gets the same ids
   * @param made told the ids at once, before anything else can come of them
   * @throws StateError one of them cannot be done to what is shown; none is made
   * @throws StateStoreError they cannot be kept; none is made
   * @throws ClosedError this has ended
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

  /** Makes a command to an order: its id in the queue, in a list. Options and errors as `edit`. */
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

  /** Changes a document of `private`; it throws as `edit` does. */
  editPrivate(name, operation) {
    return this.#alone(async () => {
      const changed = this.private.changed(name, operation);
      await this.#journal.commit(this.private.writesOf(name, changed));
      this.private.show(name, changed);
      this.#parts.told({ changed: new Set([name]), outcomes: [] });
    });
  }

  /** Decides the conflict by this value; null: by Core's. It throws as `edit` does. */
  async resolve(id, value, options = {}) {
    const waiting = this.replica.waiting.get(id);
    if (waiting === undefined) {
      if (this.#asked.has(options.asked)) return this.edit([], options);
      throw new StateError("this conflict is decided already");
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

  /** Hands on what has come of the inputs. An answer that comes after the end is left to the next start. */
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
    if (decides !== null && waiting === undefined) throw new StateError("this conflict is decided already");
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

  /** Says that the client of a session is there; it throws where there is no token. */
  async #renew() {
    const { api, transport, subject } = this.#parts;
    const { client } = this.replica.queue;
    const known = [...this.replica.channels.values()].flatMap(({ all }) => all);
    if (!known.some(({ key }) => key.endsWith(`.${client}`))) return;
    const token = await transport.accessToken();
    // Another subject's question would renew nothing.
    if (subjectOf(token) === subject) await api.settled(client, token);
  }

  #time() {
    const seconds = this.#parts.coreTime();
    return seconds === null ? null : new Date(seconds * 1000).toISOString();
  }

  #decide(waiting) {
    const resolver = this.#parts.resolvers[waiting.key];
    if (resolver === undefined) return;
    this.#resolved(waiting, resolver).catch((error) => {
      // It stays with the document, where a person can decide it.
      this.lastError = `the resolver of ${waiting.key} failed: ${error?.message ?? error}`;
    });
  }

  async #resolved({ id, channel, key, conflict }, resolver) {
    const known = () => this.replica.channels.get(channel)?.get(key)?.value ?? null;
    const current = conflict.current === undefined ? known() : conflict.current;
    const value = await resolver(key, conflict.base ?? null, current, conflict.own ?? null);
    await this.resolve(id, value ?? null);
  }

  /** One edit after the other: the number of each is the one after that of the one before. */
  #alone(work) {
    const done = this.#last.then(() => {
      if (this.#closed) throw new ClosedError("the client is closed");
      return work();
    });
    this.#last = done.catch(() => {});
    return done;
  }
}
