// The queue of edits: numbers, requests, answers, and what to do when Core knows another log. Pure.
//
// As client_sdk/state/queue.py. Edits go out in the order of their numbers, one request at a time, and a
// repeat is sent in the same text. Where a number cannot be used (the client id is another subject's,
// the number was used for something else, the log has begun anew), what is pending goes out under a new
// client id. An edit that may have been settled is never sent under another name before Core has said
// how far it is.

import { newEntry, ownBase, sessionKey } from "./entries.js";
import { answeredUpTo, chosenOf, requestOf } from "./requests.js";

const AGELESS =
  "Core has forgotten this client, and the edit does not say when it was made: it may have been settled already";

/** The edits of one client that are not done. */
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
   * @param newClient makes another one
   * @param nextN the number of the next edit
   * @param nextId its place; above that of every entry
   * @param epoch the log that the numbers and versions are of; null: not known yet
   * @param entries what is not done, in order
   */
  constructor(client, newClient, { nextN = 1, nextId = 1, epoch = null, entries = /** @type {any[]} */ ([]) } = {}) {
    Object.assign(this, { client, nextN, nextId, epoch, entries: [...entries] });
    this.#newClient = newClient;
  }

  // ── new edits ────────────────────────────────────────────────────────────────────────────────

  /**
   * Gives the edit its number; it is in the queue only when it is accepted.
   *
   * @throws StateError it is too large
   */
  prepare(wish, basis, group = 0) {
    const offset = this.#prepared.length;
    const { nextId, nextN, client } = this;
    const entry = newEntry(nextId + offset, client, nextN + offset, wish, basis, group);
    this.#prepared.push(entry);
    return entry;
  }

  /** Takes in what was prepared; false: the client id has changed, prepare it again. */
  accept() {
    const prepared = this.#prepared;
    this.#prepared = [];
    if (prepared.some((entry) => entry.client !== this.client)) return false;
    this.nextN += prepared.length;
    this.nextId += prepared.length;
    this.entries.push(...prepared);
    return true;
  }

  /** Forgets what was prepared: it could not be kept. */
  abandon() {
    this.#prepared = [];
  }

  /**
   * What a new edit of the document is made on: a version, {n}, or null.
   *
   * @param document its name
   * @param version Core's, as it is shown; null: not known
   * @param leftOut the entries that the view does not apply because they do not fit
   */
  baseFor(document, version, leftOut) {
    const all = [...this.entries, ...this.#prepared];
    const below = all.findLast((one) => one.document === document && one.shown && !leftOut.has(one.id));
    if (below === undefined) return version;
    return below.client === this.client ? { n: below.n } : below.at;
  }

  // ── requests ─────────────────────────────────────────────────────────────────────────────────

  /** Whether Core must first say how far it has settled. */
  get asking() {
    return this.#ask.length > 0;
  }

  /** The client id to ask Core about; null: there is nothing to ask. */
  get question() {
    return this.#ask[0] ?? null;
  }

  /** What Core has not answered, in order. */
  get unanswered() {
    return this.entries.filter((entry) => entry.outcome === null);
  }

  /**
   * What to send now, {client, ids, body, atomic}; null: nothing, or one is under way.
   *
   * @param before the place of a command to an order, which what stands behind it waits for; null: none
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

  /** Takes the answer; the [entry, outcome]s that it answers. None of them: it says nothing. */
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

  /** Nobody knows what became of it: send it again. */
  failed(request) {
    this.#landed(request);
  }

  /**
   * Another edit has one of its numbers; the entries that have another name now. One edit at a time
   * shows which: those before it may have been settled.
   */
  mismatched(request) {
    if (!this.#landed(request) || this.#split(request)) return [];
    return this.#rename(this.unanswered, false);
  }

  /** The client id is another subject's; the entries that have another name now. */
  taken(request) {
    return this.#landed(request) ? this.#rename(this.unanswered, false) : [];
  }

  /** Core does not take such a request; what is given up because of it, as if refused. */
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

  /** Core has not settled what comes before: ask how far it is. */
  gap(request) {
    if (this.#landed(request)) this.#beginAsking();
  }

  /** The log that is followed is this one; whether it is another than the queue's. */
  follow(epoch) {
    this.epoch ??= epoch;
    if (this.epoch === epoch) return false;
    // An answer that is under way may be the other log's.
    this.#flight = null;
    this.#beginAsking();
    return true;
  }

  /** Core has settled so much of this client in this log; the entries renamed by that. */
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
      // What was seen of them was of the other log; the answers are still to be had. What this log has
      // settled is in whatever it shows.
      for (const entry of this.unanswered) entry.at = 0;
      for (const entry of beyond) {
        Object.assign(entry, { at: null, shown: true, within: entry.within || !entry.shown });
      }
      // What is being made names versions of the other log: it is to be made again.
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

  /** Lets go of what is done; what that was. */
  removeDone() {
    const done = this.entries.filter((entry) => entry.isDone);
    if (done.length > 0) this.entries = this.entries.filter((entry) => !entry.isDone);
    return done;
  }

  // ── the rest ─────────────────────────────────────────────────────────────────────────────────

  /** Whether it was under way: what comes twice, or too late, says nothing. */
  #landed(request) {
    if (this.#flight !== request) return false;
    this.#flight = null;
    return true;
  }

  #entriesOf(request) {
    return this.entries.filter((entry) => request.ids.includes(entry.id));
  }

  /** Sends one at a time from now on, if that is anything new. */
  #split(request) {
    if (request.ids.length === 1 || request.atomic) return false;
    this.#oneByOne = true;
    return true;
  }

  #beginAsking() {
    this.#ask = [...new Set([...this.entries.map((entry) => entry.client), this.client])];
    this.#settled.clear();
  }

  /** Gives these a new client id and new numbers; what an event has shown is settled. */
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
        // Of a session's document only its own client may edit: it begins another one.
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
 * Core has forgotten the client, so it may have settled these long ago. One that says when it was made is
 * too old for Core, then. Of one that does not, nobody could tell, and it would be settled a second time.
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
