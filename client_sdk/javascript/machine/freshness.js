// Core's clock as far as it is known here, and when Core's log was last known in full. Pure.
//
// As client_sdk/machine/freshness.py, less the lag behind Core's clock, which a page does not show.

import { DRIFT } from "../contract/contract_lists.js";

/** All `now` are the seconds of the machine, all times of Core seconds since 1970. */
export class Freshness {
  /** When it was last certain to know everything, or null. */
  certainAt = /** @type {number | null} */ (null);
  #offset = /** @type {number | null} */ (null);
  #seenAt = 0;

  /** Forgets Core's clock: the log began anew, perhaps by another clock. */
  forget() {
    this.#offset = null;
  }

  /**
   * Notes that all that Core committed up to a time is known here.
   *
   * @param until that time, by Core's clock
   * @param now monotonic seconds
   */
  proven(until, now) {
    this.certainAt = now;
    const known = this.#offset;
    if (known !== null && until - now <= known - DRIFT * (now - this.#seenAt)) return;
    this.#offset = until - now;
    this.#seenAt = now;
  }

  /** Core's clock at `now`, never ahead of it; null: not known. */
  coreTime(now) {
    return this.#offset === null ? null : now + this.#offset;
  }
}
