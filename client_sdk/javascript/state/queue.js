// The queue of edits: numbers, requests, answers, and the change to another log of Core's. Pure.
//
// As client_sdk/state/queue.py. Edits are sent in the order of their numbers, one request at a time; a retry
// sends the same text. If a number cannot be used (the client id is another subject's, the number was used for
// another edit, Core has a new log), the pending edits get a new client id. An edit that may have been settled
// gets one only after Core has said up to which number it has settled.

import { newEntry, ownBase, sessionKey } from "./entries.js";
import { answeredUpTo, chosenOf, requestOf } from "./requests.js";

const AGELESS =
  "Core has forgotten this client, and the edit does not say when it was made: it may have been settled already";

/** The pending edits of one client. */
export class EditQueue {
  #newClient;
  #prepared = [];
  #flight = /** @type {any} */ (null);
  /** @type {number} */
  nextN = 1;
  /** @type {number} */
  nextId = 1;
  /** @type {any[]} */
  entries = [];
  #oneByOne = false;
  #ask = [];
  #settled = new Map();

  /**
   * @param client the client id
   * @param newClient returns a new client id
   * @param kept these: {nextN, nextId, epoch, entries}: the number of the next edit; its place, higher than that of
   *   every entry; the log that numbers and versions refer to, null: not known yet; the pending edits, in order
   */
  constructor(client, newClient, { nextN = 1, nextId = 1, epoch = null, entries = /** @type {any[]} */ ([]) } = {}) {
    Object.assign(this, { client, nextN, nextId, epoch, entries: [...entries] });
    this.#newClient = newClient;
  }

  // ── new edits ────────────────────────────────────────────────────────────────────────────────

  /**
   * Gives the edit its number. It is in the queue only after `accept`.
   *
   * @param wish what a program asks for: {channel, key, do, metadata}
   * @param basis the version that it is based on, as newEntry takes it
   * @param group the atomic group that it belongs to; 0: none
   * @throws StateError it is too large
   */
  prepare(wish, basis, group = 0) {
    const offset = this.#prepared.length;
    const { nextId, nextN, client } = this;
    const entry = newEntry(nextId + offset, client, nextN + offset, wish, basis, group);
    this.#prepared.push(entry);
    return entry;
  }

  /** Adds the prepared edits. False: the client id has changed, prepare them again. */
  accept() {
    const prepared = this.#prepared;
    this.#prepared = [];
    if (prepared.some((entry) => entry.client !== this.client)) return false;
    this.nextN += prepared.length;
    this.nextId += prepared.length;
    this.entries.push(...prepared);
    return true;
  }

  /** Discards the prepared edits: they could not be stored. */
  abandon() {
    this.#prepared = [];
  }

  /**
   * The base of a new edit: Core's version, the last own edit that is shown as {n}, or null.
   *
   * @param document its name
   * @param version Core's version that is shown; null: not known
   * @param leftOut the entries that the view does not apply because they do not fit
   */
  baseFor(document, version, leftOut) {
    const all = [...this.entries, ...this.#prepared];
    const below = all.findLast((one) => one.document === document && one.shown && !leftOut.has(one.id));
    if (below === undefined) return version;
    return below.client === this.client ? { n: below.n } : below.at;
  }

  // ── requests ─────────────────────────────────────────────────────────────────────────────────

  /** Whether Core must first say up to which number it has settled. */
  get asking() {
    return this.#ask.length > 0;
  }

  /** The client id to ask Core about; null: there is nothing to ask. */
  get question() {
    return this.#ask[0] ?? null;
  }

  /** The edits that Core has not answered, in order. */
  get unanswered() {
    return this.entries.filter((entry) => entry.outcome === null);
  }

  /**
   * The next request, {client, ids, body, atomic}; null: there is none, or one is in flight.
   *
   * @param before the place of an order command; only edits before it are sent; null: there is none
   */
  request(before = null) {
    const waiting = this.unanswered.filter(({ id }) => before === null || id < before);
    if (this.#flight !== null || this.asking || waiting.length === 0) return null;
    const [{ client }] = waiting;
    const own = [...this.entries, ...this.#prepared].filter((entry) => entry.client === client);
    const nextN = client === this.client ? this.nextN : null;
    const chosen = chosenOf(waiting, this.#oneByOne);
    this.#flight = requestOf(chosen, answeredUpTo(own, nextN), this.epoch);
    for (const entry of chosen) entry.sent = true;
    return this.#flight;
  }

  /**
   * Takes the answer. Returns the entries that it settles, each as [entry, outcome].
   *
   * @param request what was answered; if it is not in flight, nothing is done
   * @param outcomes Core's, checked
   */
  take(request, outcomes) {
    if (!this.#landed(request)) return [];
    this.#oneByOne = false;
    const byN = new Map(outcomes.map((outcome) => [outcome.n, outcome]));
    const answered = [];
    for (const entry of this.#entriesOf(request)) {
      const outcome = byN.get(entry.n);
      if (outcome === undefined || entry.outcome !== null) continue;
      entry.outcome = outcome;
      answered.push([entry, outcome]);
    }
    return answered;
  }

  /** The request got no usable answer: send it again. */
  failed(request) {
    this.#landed(request);
  }

  /**
   * Another edit has one of the numbers. Returns the edits that were renumbered. Edits are then sent one at a
   * time to find out which: those before it may be settled.
   */
  mismatched(request) {
    if (!this.#landed(request) || this.#split(request)) return [];
    return this.#rename(this.unanswered, false);
  }

  /** The client id is another subject's. Returns the edits that were renumbered. */
  taken(request) {
    return this.#landed(request) ? this.#rename(this.unanswered, false) : [];
  }

  /**
   * Core does not accept the request. Returns the edits that count as refused by this, each as [entry, outcome].
   *
   * @param request what was answered; if it is not in flight, nothing is done
   * @param problem Core's reason
   */
  unacceptable(request, problem) {
    if (!this.#landed(request) || this.#split(request)) return [];
    const refused = [];
    for (const entry of this.#entriesOf(request)) {
      entry.outcome = { n: entry.n, outcome: "refused", problem };
      refused.push([entry, entry.outcome]);
    }
    this.#rename(this.unanswered, false);
    return refused;
  }

  // ── another log ──────────────────────────────────────────────────────────────────────────────

  /** Core has not settled the edits before these: ask up to which number it has. */
  gap(request) {
    if (this.#landed(request)) this.#beginAsking();
  }

  /** Notes the log that is followed. Returns whether it differs from the queue's. */
  follow(epoch) {
    this.epoch ??= epoch;
    if (this.epoch === epoch) return false;
    // The answer to the request in flight may come from the other log.
    this.#flight = null;
    this.#beginAsking();
    return true;
  }

  /**
   * Takes Core's answer up to which number it has settled a client's edits.
   *
   * @param client the client id of `question`; an answer about another one is ignored
   * @param settled all numbers up to this one are settled
   * @param epoch the log that Core answers of
   * @returns the edits that have got another number, or an outcome, by this; none before the last question is answered
   */
  told(client, settled, epoch) {
    if (!this.#ask.includes(client)) return [];
    this.#ask = this.#ask.filter((one) => one !== client);
    this.#settled.set(client, settled);
    if (this.asking) return [];
    const anew = this.epoch !== null && epoch !== this.epoch;
    this.epoch = epoch;
    const beyond = this.entries.filter((one) => one.n > (this.#settled.get(one.client) ?? 0));
    const lost = anew ? beyond : beyond.filter((entry) => entry.outcome === null);
    const known = this.#settled.get(this.client) ?? 0;
    if (anew) {
      // Versions seen so far belong to the other log; the edits are still to be answered. All versions of this
      // log contain what it has settled.
      for (const entry of this.unanswered) entry.at = 0;
      for (const entry of beyond) {
        Object.assign(entry, { at: null, shown: true, within: entry.within || !entry.shown });
      }
      // Edits in preparation refer to versions of the other log: prepare them again.
      const isNew = lost.length > 0 || this.#prepared.length > 0 || known < this.nextN - 1;
      return isNew ? this.#rename(lost, true) : [];
    }
    const own = lost.filter((entry) => entry.client === this.client).map((entry) => entry.n);
    const isGap = own.length > 0 && Math.min(...own) > known + 1;
    if (!isGap) return [];
    refuseAgeless(lost);
    return this.#rename(lost, false);
  }

  // ── the end ──────────────────────────────────────────────────────────────────────────────────

  /** Removes the edits that are done, and returns them. */
  removeDone() {
    const done = this.entries.filter((entry) => entry.isDone);
    if (done.length > 0) this.entries = this.entries.filter((entry) => !entry.isDone);
    return done;
  }

  // ── the rest ─────────────────────────────────────────────────────────────────────────────────

  /** Whether the request was in flight; a duplicate or late answer is ignored. */
  #landed(request) {
    if (this.#flight !== request) return false;
    this.#flight = null;
    return true;
  }

  #entriesOf(request) {
    return this.entries.filter((entry) => request.ids.includes(entry.id));
  }

  /** Sends one at a time from now on. Returns whether the request had more than one. */
  #split(request) {
    if (request.ids.length === 1 || request.atomic) return false;
    this.#oneByOne = true;
    return true;
  }

  #beginAsking() {
    this.#ask = [...new Set([...this.entries.map((entry) => entry.client), this.client])];
    this.#settled.clear();
  }

  /** Gives these a new client id and new numbers, except those that an event has settled. */
  #rename(entries, anew) {
    if (!anew) {
      for (const entry of entries.filter(({ at }) => at !== null)) {
        entry.outcome = { n: entry.n, outcome: "applied", version: entry.at || undefined };
      }
    }
    const pending = anew ? entries : entries.filter(({ at, shown }) => at === null && shown);
    const client = this.#newClient();
    const nameOf = (of, n) => `${of} ${n}`;
    const names = new Map();
    const versions = new Map();
    if (!anew) for (const one of this.entries) versions.set(nameOf(one.client, one.n), one.at);
    for (const [index, entry] of pending.entries()) {
      const n = index + 1;
      let base = entry.edit.base ?? null;
      const below = ownBase(entry.edit);
      if (below !== undefined) {
        const name = nameOf(entry.client, below);
        base = names.has(name) ? { n: names.get(name) } : (versions.get(name) ?? null);
      } else if (anew) {
        base = null; // a version of the other log
      }
      names.set(nameOf(entry.client, entry.n), n);
      let { key } = entry.edit;
      const [ofSession] = key.split(".", 1);
      if (key === sessionKey(ofSession, entry.client)) {
        // Only a session's own client may edit its documents: the new id has others.
        key = sessionKey(ofSession, client);
        if (typeof base === "number") base = null;
      }
      entry.rename(client, { ...entry.edit, n, key, base });
    }
    this.client = client;
    this.nextN = pending.length + 1;
    this.#oneByOne = false;
    return entries;
  }
}

/**
 * Refuses edits without a time that Core, which has forgotten the client, may have settled. If such an edit has
 * a time, Core refuses it as too old. Without one, Core would settle it a second time.
 */
function refuseAgeless(lost) {
  const refused = new Set();
  for (const entry of lost) {
    const { client, n, at, edit } = entry;
    const isOnRefused = refused.has(`${client} ${ownBase(edit)}`);
    if (at !== null || (edit.made_at && !isOnRefused)) continue;
    refused.add(`${client} ${n}`);
    const problem = { type: "urn:yabam:problem:too-late", title: "The edit is too old", status: 409, detail: AGELESS };
    Object.assign(entry, { outcome: { n, outcome: "refused", problem }, shown: false });
  }
}
