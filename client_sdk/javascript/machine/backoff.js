// Back-off with full jitter, forgotten only after a healthy time. Pure.
//
// As client_sdk/machine/backoff.py.

import { MAX_RESTARTS } from "../contract/contract_lists.js";

/**
 * How long to wait at most after so many failures in a row: twice as long after each.
 *
 * @param {number} failures one or more
 * @param {number} first the wait after the first
 * @param {number} [limit] the bound of all
 */
export const longestWait = (failures, first, limit = Infinity) => Math.min(first * 2 ** Math.min(failures - 1, 30), limit);

/** How long to wait after failures. */
export class Backoff {
  failures = 0;
  #settings;
  #uniform;
  #wellSince = /** @type {number | null} */ (null);

  /**
   * @param {{backoffFirst: number, backoffMost: number, healthyAfter?: number}} settings in seconds; `healthyAfter` is
   *   for those that call `well`
   * @param {(low: number, high: number) => number} uniform a random number evenly between two
   */
  constructor(settings, uniform) {
    this.#settings = settings;
    this.#uniform = uniform;
  }

  /** For how many seconds it has worked; 0: it does not. */
  wellFor(now) {
    return this.#wellSince === null ? 0 : now - this.#wellSince;
  }

  /**
   * Counts a failure. Returns how long to wait now, in seconds.
   *
   * @param now monotonic seconds
   * @param limit the longest wait, in seconds
   */
  failed(now, limit = Infinity) {
    const since = this.#wellSince;
    if (since !== null && now - since >= (this.#settings.healthyAfter ?? 0)) this.failures = 0;
    this.#wellSince = null;
    this.failures += 1;
    const { backoffFirst, backoffMost } = this.#settings;
    return this.#uniform(0, longestWait(this.failures, backoffFirst, Math.min(backoffMost, limit)));
  }

  /** Notes that it works since `now`, or before; a mere connect resets nothing. */
  well(now) {
    this.#wellSince ??= now;
  }

  /** Resets after a full answer: the next failure counts as the first. */
  forget() {
    this.failures = 0;
  }
}

/**
 * Answers that began a channel anew although it had a cursor.
 *
 * A restore and retention do that now and then. A server that does it again and again would be
 * asked again at once each time: more than MAX_RESTARTS, each within `forgottenAfter` seconds of the
 * one before, are a fault.
 */
export class Restarts {
  #forgottenAfter;
  #count = 0;
  #lastAt = -Infinity;

  /** @param forgottenAfter seconds after which the earlier ones do not count any more */
  constructor(forgottenAfter) {
    this.#forgottenAfter = forgottenAfter;
  }

  /** Counts one more. Returns whether there are too many. */
  tooMany(now) {
    if (now - this.#lastAt >= this.#forgottenAfter) this.#count = 0;
    this.#count += 1;
    this.#lastAt = now;
    return this.#count > MAX_RESTARTS;
  }
}
