// Core's clock, as far as it is known here. Pure; the part of `Knowledge` in
// client_sdk/machine/core_clock.py that tells the time.

/** How fast a clock here may run away from Core's: what was learned last may correct that. */
const DRIFT = 1e-4;

/** All `now` are the seconds of the machine, all times seconds since 1970. */
export class CoreClock {
  #offset = /** @type {number | null} */ (null);
  #seenAt = 0;

  /** Forgets everything: the log began anew, perhaps by another clock. */
  forget() {
    this.#offset = null;
  }

  /** Core's clock showed this time before `now`. */
  told(time, now) {
    const known = this.#offset;
    if (known !== null && time - now <= known - DRIFT * (now - this.#seenAt)) return;
    this.#offset = time - now;
    this.#seenAt = now;
  }

  /** Core's clock at `now`, never ahead of it; null: not known. */
  at(now) {
    return this.#offset === null ? null : now + this.#offset;
  }
}
