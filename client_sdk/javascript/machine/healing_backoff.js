// How often a channel may begin anew because its orders have another digest than Core says. Pure.
//
// As client_sdk/machine/healing_backoff.py, which tells why.

import { Backoff } from "./backoff.js";
import { MAX_HEALING_S } from "../contract/contract_lists.js";

/** When each channel may begin anew. All `now` are monotonic seconds. */
export class HealingBackoff {
  #settings;
  #uniform;
  #differs = new Set();
  #backoffs = new Map();
  #notBefore = new Map();

  /**
   * @param settings those of SETTINGS, of which only the first wait counts
   * @param uniform (low, high) → a random number evenly between two
   */
  constructor(settings, uniform) {
    this.#settings = { ...settings, backoffMost: MAX_HEALING_S };
    this.#uniform = uniform;
  }

  /** Notes a new comparison of the channel: if the last one agreed, its back-off is reset. */
  checked(channel) {
    if (!this.#differs.has(channel)) {
      this.#backoffs.delete(channel);
      this.#notBefore.delete(channel);
    }
    this.#differs.delete(channel);
  }

  /**
   * Whether the channel, whose digest differs, may begin anew.
   *
   * @param channel its name
   * @param now when the digests were compared
   */
  mayBegin(channel, now) {
    this.#differs.add(channel);
    return now >= (this.#notBefore.get(channel) ?? now);
  }

  /**
   * Notes that the channel begins anew; the next time must wait.
   *
   * @param channel its name
   * @param now when it begins
   */
  began(channel, now) {
    if (!this.#backoffs.has(channel)) {
      this.#backoffs.set(channel, new Backoff(this.#settings, this.#uniform));
    }
    this.#notBefore.set(channel, now + this.#backoffs.get(channel).failed(now));
  }
}
