// One client's copy of the shared state: Core's documents, and its own edits on top. Pure.
//
// As client_sdk/state/replica.py. All inputs come here: changes of Core's log, answers and new edits. `drain`
// returns the effects: what to store, to fetch and to notify. A document is identified by its name
// (entries.js).

import { channelOf } from "../contract/contract.js";
import { conflictOf, errorOf, ofAnotherLog } from "./conflicts.js";
import { Documents } from "./documents.js";
import { containedAt, nameOf, partsOf } from "./entries.js";
import { StateError } from "../contract/state/errors.js";
import { makeEntries } from "./making.js";
import { member } from "../contract/state/pointer.js";
import { rowOf } from "./records.js";
import { compose } from "./view.js";

const noEffects = () => ({
  writes: /** @type {any[]} */ ([]),
  changed: new Set(),
  outcomes: /** @type {any[]} */ ([]),
  conflicts: /** @type {any[]} */ ([]),
});

/** The shared state of one client. */
export class Replica {
  #calls;
  #resolved;
  #errors = new Map();
  #composed = new Map();
  #effects = noEffects();
  /** The epoch of the log that is followed; the queue may learn of a newer one earlier. */
  #log;

  /**
   * @param queue the client's edits
   * @param channels the channels that it follows: {channel: the documents stored by the previous run}
   * @param kept these: {waiting, calls, resolved}: conflicts that are not decided; predictions of the operator's
   *   functions, {key: {name: function}}; the keys that have a resolver, so that certain refusals become conflicts
   */
  constructor(queue, channels, { waiting = [], calls = {}, resolved = /** @type {string[]} */ ([]) } = {}) {
    this.queue = queue;
    this.#log = queue.epoch;
    this.channels = new Map();
    for (const [name, kept] of Object.entries(channels)) {
      this.channels.set(name, new Documents(kept, queue.epoch));
    }
    this.waiting = new Map(waiting.map((one) => [one.id, one]));
    this.#calls = calls;
    this.#resolved = new Set(resolved);
    // The pending edits may be the only record of which numbers and places are used.
    if (queue.nextId > 1) this.#keepCounters();
  }

  /**
   * The effects since the last call: {writes, changed, outcomes: [id, outcome]s, conflicts}. In
   * `changed` an empty key stands for all documents of the channel, including ones that do not exist.
   */
  drain() {
    const effects = this.#effects;
    this.#effects = noEffects();
    return effects;
  }

  // ── what is shown ────────────────────────────────────────────────────────────────────────────

  /**
   * The document as it is shown now: {value, version, pending, loading, leftOut, conflict, error}.
   *
   * @param name its name, as nameOf makes it
   * @throws StateError its channel is not followed
   */
  view(name) {
    const [documents, key] = this.#documents(name);
    const { value, leftOut } = this.#compose(name);
    return {
      value,
      version: documents.version(key),
      pending: this.#pending(name).length,
      loading: !documents.synced || documents.wanted.has(key) || documents.held.includes(key),
      leftOut: leftOut.size,
      conflict: [...this.waiting.values()].find((one) => nameOf(one.channel, one.key) === name) ?? null,
      error: this.#errors.get(name) ?? null,
    };
  }

  // ── Core's log ───────────────────────────────────────────────────────────────────────────────

  /**
   * Applies a change of a channel; one that is not followed is ignored.
   *
   * @param change an event of a document, or a Reset
   * @param epoch the epoch of its log
   */
  take(change, epoch) {
    const channel = change.type === "reset" ? change.channel : channelOf(change);
    const documents = this.channels.get(channel);
    if (documents === undefined) return;
    const before = this.queue.epoch;
    this.#log = epoch;
    this.queue.follow(epoch);
    if (this.queue.epoch !== before) this.#keepCounters();
    if (change.type === "reset") this.#reset(documents, change, epoch);
    else this.#event(documents, change);
  }

  /**
   * Whether the channel's documents have this digest; null: a value is still missing.
   *
   * @param channel its full name
   * @param contentDigest Core's, as 32 lower-case hex digits
   */
  agrees(channel, contentDigest) {
    return this.channels.get(channel).agrees(contentDigest);
  }

  /** The result of a postponed comparison; null: there is none, or it must wait longer. */
  agreesNow(channel) {
    return this.channels.get(channel).agreesNow();
  }

  /** Takes a fetched version. */
  fetched(document) {
    const documents = this.channels.get(document.channel);
    if (documents === undefined) return;
    const name = nameOf(document.channel, document.key);
    this.#contains(document.channel, [document]);
    if (documents.fetched(document, this.#isUnsure(name))) this.#remember(name);
    this.#show(name);
  }

  /**
   * Core has no such version, or no such document.
   *
   * @param name its name, as nameOf makes it
   * @param version the one that was asked for; null: the newest
   * @throws StateError its channel is not followed
   */
  missing(name, version) {
    const [documents, key] = this.#documents(name);
    if (documents.wanted.get(key) !== version || documents.missing(key, version)) return;
    for (const entry of this.#isOneLog(documents) ? this.#pending(name) : []) {
      // The edit was contained in a version of the document, which is deleted by now.
      entry.shown = entry.at === null;
      this.#keep(entry);
    }
    this.#show(name);
  }

  // ── new edits ────────────────────────────────────────────────────────────────────────────────

  /**
   * Makes edits. Returns the writes that must be stored before `accept`.
   *
   * @param wishes the edits that the program asks for: {channel, key, do, metadata, base}
   * @param madeAt the time by Core's clock, as RFC 3339 text; null: not known
   * @param atomic whether Core applies all of them or none
   * @param decides the id of the conflict that they resolve; they are based on its version
   * @throws StateError an edit does not fit the document shown, is malformed or too large, or its channel is
   *   not followed; none is made
   */
  prepare(wishes, madeAt, atomic = false, decides = null) {
    const { queue } = this;
    const base = this.waiting.get(decides)?.conflict.version;
    const asked = base === undefined ? wishes : wishes.map((wish) => ({ ...wish, base }));
    let entries;
    try {
      entries = makeEntries(queue, (name) => this.#look(name), asked, madeAt, atomic);
    } catch (error) {
      queue.abandon();
      throw error;
    }
    const writes = entries.map((entry) => ({ type: "PutEntry", row: rowOf(entry) }));
    return [...writes, this.#counters(entries.length)];
  }

  /** Shows the edits that were stored. Returns their ids; null: the client id has changed, prepare them again. */
  accept() {
    const begins = this.queue.entries.length;
    if (!this.queue.accept()) return null;
    const accepted = this.queue.entries.slice(begins);
    this.#keepCounters();
    for (const name of namesOf(accepted)) {
      this.#errors.delete(name);
      this.#show(name);
    }
    return accepted.map((entry) => entry.id);
  }

  /** An order command has taken the next place in the queue. */
  placeTaken() {
    this.queue.nextId += 1;
    this.#keepCounters();
  }

  /** The conflict is decided. */
  decided(waiting) {
    if (!this.waiting.delete(waiting.id)) return;
    this.#effects.writes.push({ type: "DropWaiting", id: waiting.id });
    this.#effects.changed.add(nameOf(waiting.channel, waiting.key));
  }

  // ── answers ──────────────────────────────────────────────────────────────────────────────────

  /**
   * Takes the answer to a request. Returns whether it settled any edit.
   *
   * @param request as EditQueue.request returned it
   * @param outcomes Core's, checked
   */
  answered(request, outcomes) {
    const answered = this.queue.take(request, outcomes);
    this.#takeOutcomes(answered);
    return answered.length > 0;
  }

  /**
   * Core does not accept the request.
   *
   * @param request as EditQueue.request returned it
   * @param problem Core's reason
   */
  unacceptable(request, problem) {
    const refused = this.queue.unacceptable(request, problem);
    this.#takeOutcomes(refused);
    if (refused.length > 0) this.#renamed(this.queue.entries);
  }

  /** Another edit has one of the request's numbers. */
  mismatched(request) {
    this.#renamed(this.queue.mismatched(request));
  }

  /** The client id is another subject's. */
  taken(request) {
    this.#renamed(this.queue.taken(request));
  }

  /**
   * Takes Core's answer up to which number it has settled a client's edits.
   *
   * @param client the client id that was asked about
   * @param settled all numbers up to this one are settled
   * @param epoch the log that Core answers of; null: Core does not name it, so the followed one
   */
  told(client, settled, epoch) {
    const log = epoch ?? this.#log ?? this.queue.epoch;
    if (log === null) return;
    const before = this.queue.epoch;
    this.#renamed(this.queue.told(client, settled, log));
    if (this.queue.epoch !== before) {
      this.#forgetOthers(log);
      this.#forgetVersions();
    }
    this.#keepCounters();
    for (const entry of this.queue.entries) this.#keep(entry);
    for (const name of namesOf(this.queue.entries)) this.#show(name);
  }

  // ── the rest ─────────────────────────────────────────────────────────────────────────────────

  /** Whether the versions of documents and edits belong to the same log. */
  #isOneLog(documents) {
    return !this.queue.asking && documents.epoch === this.queue.epoch;
  }

  /** The value below the pending edits; null: there is none. */
  #value(name) {
    const [channel, key] = partsOf(name);
    return this.channels.get(channel)?.get(key)?.value ?? null;
  }

  #documents(name) {
    const [channel, key] = partsOf(name);
    const documents = this.channels.get(channel);
    if (documents === undefined) throw new StateError(`${channel} is not followed`);
    return [documents, key];
  }

  #pending(name) {
    return this.queue.entries.filter((one) => one.shown && one.document === name);
  }

  #compose(name) {
    if (!this.#composed.has(name)) {
      const onTop = this.#pending(name).filter(({ within }) => !within);
      const calls = member(this.#calls, partsOf(name)[1]) ?? {};
      this.#composed.set(name, compose(this.#value(name), onTop, calls));
    }
    return this.#composed.get(name);
  }

  /** The document as it is when an edit is made. */
  #look(name) {
    const [documents, key] = this.#documents(name);
    const document = documents.get(key);
    const isKnown = this.#isOneLog(documents) && (documents.synced || document !== null);
    const version = isKnown ? documents.version(key) : null;
    return { composed: this.#compose(name), version, document, calls: member(this.#calls, key) ?? {} };
  }

  #reset(documents, reset, epoch) {
    const { channel } = reset;
    this.#effects.changed.add(nameOf(channel, ""));
    const own = this.queue.entries.filter(({ edit }) => edit.channel === channel);
    const edited = [...new Set(own.map(({ edit }) => edit.key))];
    this.#contains(channel, reset.documents);
    const unsure = edited.filter((key) => this.#isUnsure(nameOf(channel, key)));
    for (const key of new Set([...documents.replace(reset, epoch, unsure), ...edited])) {
      this.#remember(nameOf(channel, key));
      this.#show(nameOf(channel, key));
    }
  }

  /** Whether a newer version may contain a shown edit, and it is not known which version. */
  #isUnsure(name) {
    const isCertain = this.#isOneLog(this.#documents(name)[0]);
    return this.#pending(name).some((entry) => entry.isUnsure || !isCertain);
  }

  /**
   * Marks the edits that these versions, read at the same time, contain; their answers may have been lost. Core
   * settles a client's edits in order. So if one of the versions was made by an edit, all edits before it are
   * settled too: each is in its document's version, or was refused.
   */
  #contains(channel, found) {
    const versions = new Map(found.map(({ key, version }) => [key, version]));
    const settled = new Map();
    for (const { edit: author } of found) {
      if (author) settled.set(author.client, Math.max(author.n, settled.get(author.client) ?? 0));
    }
    for (const entry of this.queue.entries) {
      const { channel: of, key } = entry.edit;
      const isOpen = entry.at === null && entry.outcome === null;
      const isSettled = entry.n <= (settled.get(entry.client) ?? 0);
      if (!isOpen || !isSettled || of !== channel || !versions.has(key)) continue;
      entry.at = versions.get(key);
      this.#keep(entry);
    }
  }

  #event(documents, event) {
    const name = nameOf(channelOf(event), event.key);
    this.#contains(channelOf(event), [event]);
    const isOneLog = this.#isOneLog(documents);
    if (documents.apply(event, this.#isUnsure(name), isOneLog)) this.#remember(name);
    this.#show(name);
  }

  #remember(name) {
    const [documents, key] = this.#documents(name);
    // After a restart, the versions of stored documents are bases in the queue's log.
    if (documents.epoch !== this.queue.epoch) return;
    const document = documents.get(key);
    const { writes } = this.#effects;
    if (document === null || document.value === null) writes.push(dropOf(name));
    else if (document.version > 0) writes.push({ type: "PutDocument", document });
  }

  /** Deletes the stored documents of other logs, which a restart would take for this log's. */
  #forgetOthers(log) {
    this.#effects.writes.push({ type: "DropDocuments" });
    for (const [channel, { epoch, all }] of this.channels) {
      if (epoch === log) for (const { key } of all) this.#remember(nameOf(channel, key));
    }
  }

  /** The waiting conflicts belong to another log. */
  #forgetVersions() {
    for (const waiting of [...this.waiting.values()].map(ofAnotherLog)) {
      this.waiting.set(waiting.id, waiting);
      this.#effects.writes.push({ type: "PutWaiting", waiting });
      this.#effects.changed.add(nameOf(waiting.channel, waiting.key));
    }
  }

  /** Updates a document that may have changed: removes the edits that Core's value contains. */
  #show(name) {
    const [channel, key] = partsOf(name);
    const documents = this.channels.get(channel);
    if (documents === undefined) return;
    const isUnsure = this.#isUnsure(name);
    if (documents.held.includes(key) && !isUnsure) {
      documents.release(key);
      this.#remember(name);
    }
    const version = documents.version(key);
    const standsIn = documents.standsIn(key);
    const pending = this.#pending(name);
    if (this.#value(name) === null || !(isUnsure || standsIn)) {
      for (const entry of pending) entry.within = false;
    }
    for (const entry of this.#isOneLog(documents) ? pending : []) {
      if (entry.at === null) continue;
      if (entry.at <= version && !standsIn) {
        entry.shown = false;
        this.#keep(entry);
      } else if (documents.synced && documents.isGone(key, entry.at)) {
        // A snapshot without the document may have come after that version, with no event.
        documents.want(key);
      }
    }
    for (const { id } of this.queue.removeDone()) this.#effects.writes.push({ type: "DropEntry", id });
    this.#composed.delete(name);
    this.#effects.changed.add(name);
  }

  #takeOutcomes(answered) {
    for (const [entry, outcome] of answered) this.#outcome(entry, outcome);
    // After all outcomes: this removes edits, which a later write would store again.
    for (const name of namesOf(answered.map(([entry]) => entry))) this.#show(name);
  }

  #outcome(entry, outcome) {
    const version = containedAt(outcome);
    if (version === null) entry.shown = false;
    else entry.at ??= version;
    if (outcome.outcome === "refused") this.#refused(entry, outcome);
    else this.#errors.delete(entry.document);
    this.#keep(entry);
    this.#effects.outcomes.push([entry.id, outcome]);
  }

  #refused(entry, outcome) {
    const waiting = conflictOf(entry, outcome, this.queue.entries, this.#resolved.has(entry.edit.key));
    if (waiting === null) {
      this.#errors.set(entry.document, errorOf(entry, outcome));
      return;
    }
    this.waiting.set(waiting.id, waiting);
    this.#effects.conflicts.push(waiting);
    this.#effects.writes.push({ type: "PutWaiting", waiting });
  }

  #renamed(entries) {
    for (const entry of entries) {
      this.#keep(entry);
      if (entry.outcome === null) continue;
      this.#effects.outcomes.push([entry.id, entry.outcome]);
      if (entry.outcome.outcome === "refused") this.#errors.set(entry.document, errorOf(entry, entry.outcome));
    }
    this.#keepCounters();
    // The documents of a session have new keys now.
    const ofSessions = [...this.#composed.keys()].filter((name) => partsOf(name)[1].includes("."));
    const held = [...this.channels].flatMap(([name, of]) => of.held.map((key) => nameOf(name, key)));
    for (const name of new Set([...namesOf(entries), ...ofSessions, ...held])) this.#show(name);
  }

  #keep(entry) {
    this.#effects.writes.push({ type: "PutEntry", row: rowOf(entry) });
  }

  #keepCounters() {
    this.#effects.writes.push(this.#counters(0));
  }

  #counters(more) {
    const { client, nextN, nextId, epoch } = this.queue;
    return { type: "PutCounters", client, nextN: nextN + more, nextId: nextId + more, epoch };
  }
}

const namesOf = (entries) => new Set(entries.map((entry) => entry.document));

function dropOf(name) {
  const [channel, key] = partsOf(name);
  return { type: "DropDocument", channel, key };
}
