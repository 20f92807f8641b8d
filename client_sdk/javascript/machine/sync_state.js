// What the client has taken in, and what an answer of Fetch Sync adds to it. Pure.
//
// As client_sdk/machine/sync_state.py, less the filling of the book after a restart: here the book is stored
// together with the cursor.

import { carriesDocuments } from "../contract/contract.js";
import { Positions, Verdict, changesOf } from "./sequencing.js";

/**
 * @typedef {object} TakenAnswer what an answer brought
 * @property {import("./messages.js").Command[]} commands
 * @property {boolean} news whether there was anything new for the page
 * @property {string | null} fault why the answer is not sound; what it brought before counts all the same
 * @property {boolean} restarted a channel that had a cursor began anew
 * @property {boolean} goesOn it made progress: answers that say that there is more must come to an end
 * @property {boolean} epochChanged the log began anew: a stream of the old one says nothing any more
 */

/** The positions, the epoch and the counters of one client. */
export class SyncState {
  positions;
  epoch;
  /** What happened, for status and metrics. */
  counters = {
    duplicates: 0,
    gaps: 0,
    resets: 0,
    divergences: 0,
    streamFailures: 0,
    syncFailures: 0,
  };
  #diverged = new Set();
  #checked = new Map();
  #asked = {};

  /**
   * @param positions the last seq of each channel, by its name; null: it starts anew
   * @param epoch the epoch of those seqs; null: not known
   */
  constructor(positions, epoch) {
    this.positions = new Positions(positions);
    this.epoch = epoch;
  }

  /** What the next sync asks after; its answer goes to `take`. */
  question() {
    this.#asked = this.positions.all;
    return this.#asked;
  }

  /**
   * Judges an event of the stream, and moves on if it applies.
   *
   * @param event of an order or of a document, checked
   * @returns one of Verdict
   */
  takeEvent(event) {
    const verdict = this.positions.take(event);
    if (verdict === Verdict.DUPLICATE) this.counters.duplicates += 1;
    else if (verdict === Verdict.GAP) this.counters.gaps += 1;
    return verdict;
  }

  /** How many channels begin anew because their orders had another digest. */
  get diverged() {
    return this.#diverged.size;
  }

  /**
   * The book of the channel is wrong.
   *
   * @param channel its name
   * @param heal whether it may start anew now; if not, it is only checked again later
   * @returns whether a restart of the channel is scheduled
   */
  diverge(channel, heal) {
    if (this.#diverged.has(channel) || !this.positions.has(channel)) return false;
    this.counters.divergences += 1;
    if (!heal) {
      this.#checked.delete(channel);
      return false;
    }
    this.#diverged.add(channel);
    this.positions.move(channel, null);
    return true;
  }

  /**
   * Applies the answer to the last question.
   *
   * @param response Core's answer, checked
   * @returns a TakenAnswer
   */
  take(response) {
    /** @type {TakenAnswer} */
    const taken = { commands: [], news: false, fault: null, restarted: false, goesOn: false, epochChanged: false };
    if (response.epoch !== this.epoch) {
      taken.epochChanged = this.epoch !== null;
      this.#beginEpoch(response.epoch);
    }
    const answers = new Map(response.channels.map((answer) => [answer.channel, answer]));
    for (const channel of Object.keys(this.#asked)) {
      const answer = answers.get(channel);
      if (answer) this.#takeChannel(answer, taken);
      else taken.fault = `the answer leaves out ${channel}`;
    }
    if (response.has_more && !taken.goesOn) {
      taken.fault = "the answer says that there is more, and brings nothing";
    }
    return taken;
  }

  /** Seqs of another epoch say nothing in this one: each channel needs a reset. */
  #beginEpoch(epoch) {
    this.epoch = epoch;
    this.#checked.clear();
    for (const channel of Object.keys(this.positions.all)) this.positions.move(channel, null);
  }

  #takeChannel(answer, taken) {
    const { channel, head, digest, content_digest: contentDigest = null } = answer;
    const asked = this.#asked[channel];
    if (!answer.reset && asked !== null && head < asked) {
      taken.fault = `the answer is older than what is known of ${channel}`;
      return;
    }
    const ofDocuments = carriesDocuments(channel);
    const [changes, sound] = /** @type {[any[], boolean]} */ (changesOf(this.positions, answer));
    const anew = changes.some((change) => change.type === "reset");
    taken.restarted ||= anew && asked !== null;
    taken.goesOn ||= anew || endOf(answer) > (asked ?? 0);
    if (!sound) taken.fault = `the answer leaves a gap in ${channel}`;
    for (const change of changes) {
      taken.news = true;
      const type = ofDocuments ? "DeliverDocument" : "Deliver";
      taken.commands.push({ type, change: this.#relabelled(change), epoch: this.epoch });
    }
    const check = `${head} ${digest} ${contentDigest}`;
    const atHead = this.positions.get(channel) === head;
    if (sound && atHead && this.#checked.get(channel) !== check) {
      this.#checked.set(channel, check);
      if (!ofDocuments) taken.commands.push({ type: "CheckDigest", channel, digest, contentDigest });
      else if (contentDigest !== null) taken.commands.push({ type: "CheckDocuments", channel, contentDigest });
    }
  }

  #relabelled(change) {
    if (change.type !== "reset") return change;
    this.counters.resets += 1;
    this.#checked.delete(change.channel);
    const diverged = this.#diverged.delete(change.channel);
    const { reason } = /** @type {import("./sequencing.js").Reset} */ (change);
    return diverged && reason === "first_sync" ? { ...change, reason: "digest" } : change;
  }
}

/** The last seq that the answer brings; 0: it brings none. */
function endOf({ reset, snapshot, events }) {
  return events.at(-1)?.seq ?? (reset && snapshot ? snapshot.head : 0);
}
