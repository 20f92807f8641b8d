// What may be applied: n+1 on top of n, per channel and epoch. Pure; as client_sdk/machine/sequencing.py.

import { carriesDocuments, channelOf } from "../contract/contract.js";

/** @import { ResetReason } from "../contract/contract_lists.js" */
/**
 * @typedef {{type: "reset", channel: string, reason: ResetReason | "digest", head: number, orders?: any[],
 *   documents?: any[]}} Reset the channel's state is replaced: forget its orders or documents, take these
 */
/** @typedef {any} Change an event, or a Reset */

/** What is to be done with an event. */
export const Verdict = Object.freeze({ APPLY: "apply", DUPLICATE: "duplicate", GAP: "gap" });

/** What has been taken in, per channel; null where a channel starts anew. */
export class Positions {
  #positions;
  // Asked for after each input, and of many channels one changes at a time.
  #all = /** @type {Readonly<{[channel: string]: number | null}> | null} */ (null);
  #known = /** @type {Readonly<{[channel: string]: number}> | null} */ (null);

  /** @param positions the last seq of each channel, by its name; null: it starts anew */
  constructor(positions) {
    this.#positions = new Map(Object.entries(positions));
  }

  /**
   * The last seq of the channel; null: it starts anew, or is not followed.
   *
   * @param channel its name
   */
  get(channel) {
    return this.#positions.get(channel) ?? null;
  }

  /**
   * Whether the channel is followed.
   *
   * @param channel its name
   */
  has(channel) {
    return this.#positions.has(channel);
  }

  /** Every channel with its position, as an object: the same one until a position changes. */
  get all() {
    this.#all ??= Object.freeze(Object.fromEntries(this.#positions));
    return this.#all;
  }

  /** The channels that have a position, with it: a cursor. The same object until a position changes. */
  get known() {
    this.#known ??= Object.freeze(Object.fromEntries([...this.#positions].filter(([, seq]) => seq !== null)));
    return this.#known;
  }

  /**
   * Judges an event, and moves on if it applies.
   *
   * @param event of an order or of a document
   * @returns one of Verdict
   */
  take(event) {
    const channel = channelOf(event);
    const position = this.get(channel);
    if (position === null) return Verdict.GAP;
    if (event.seq <= position) return Verdict.DUPLICATE;
    if (event.seq !== position + 1) return Verdict.GAP;
    this.move(channel, event.seq);
    return Verdict.APPLY;
  }

  /**
   * Starts the channel anew.
   *
   * @param channel its name
   * @param seq the last seq that is known; null: nothing is
   */
  move(channel, seq) {
    if (this.#positions.get(channel) === seq) return;
    this.#positions.set(channel, seq);
    this.#all = this.#known = null;
  }
}

/**
 * Whether a channel that begins anew is of the log that was followed before, which has not gone back meanwhile.
 * After a restore each channel begins anew because of the epoch; the first one tells of it.
 *
 * @param {Reset} reset the channel's
 * @param {string | null} before the epoch of the change before it; null: there was none
 * @param {string} epoch its own
 */
export const goesOn = ({ reason }, before, epoch) =>
  reason !== "ahead" && (before === null ? reason !== "epoch" : before === epoch);

/**
 * What a sync's answer changes in one channel.
 *
 * The positions move along. Of an answer that leaves a gap, or ends before the head without saying
 * that there is more, the good part is given, and the client must sync again from where it is.
 *
 * @param positions the Positions, which are changed
 * @param answer the channel's part of the answer, checked
 * @returns these: [changes, whether the answer is sound]
 */
export function changesOf(positions, answer) {
  const changes = [];
  const { channel, snapshot } = answer;
  const reset = /** @type {ResetReason | null | undefined} */ (answer.reset);
  const position = positions.get(channel);
  if (reset && snapshot) {
    // The stream may have brought what lies behind a snapshot while the answer was under way.
    if (reset !== "retention" || position === null || position < snapshot.head) {
      positions.move(channel, snapshot.head);
      const { head, orders, documents = [] } = snapshot;
      const state = carriesDocuments(channel) ? { documents } : { orders };
      changes.push({ type: "reset", channel, reason: reset, head, ...state });
    }
  } else if (reset || position === null) {
    return [changes, false];
  }
  for (const event of answer.events) {
    const verdict = channelOf(event) === channel ? positions.take(event) : Verdict.GAP;
    if (verdict === Verdict.GAP) return [changes, false];
    if (verdict === Verdict.APPLY) changes.push(event);
  }
  const reached = positions.get(channel);
  return [changes, Boolean(answer.has_more) || (reached !== null && reached >= answer.head)];
}
