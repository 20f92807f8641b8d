// Renews the client's session at Core every three hours, and soon again after a failure.
//
// As `Engine._renew` of client_sdk/shared_state/engine.py.

import { Worker } from "./worker.js";

/** The interval of session renewals, in seconds; without them Core ends the session after a day. */
export const RENEW_EVERY_S = 3 * 3_600;
/** A browser delays long timers, and stops them while the device sleeps: the clock decides. */
const LOOK_EVERY_MS = 60_000;

/** Renews one session, from `online` until `close`. */
export class SessionRenewal {
  #renew;
  #failed;
  #clock;
  #worker;
  #dueAt = -Infinity;
  #timer = /** @type {number | undefined} */ (undefined);

  /**
   * @param {object} parts
   * @param {() => Promise<any>} parts.renew renews it; the promise is of what Core answered, as EditsApi.settled gives
   *   it, or of null: there is nothing to renew. It is rejected if there is no token
   * @param {(detail: string) => void} parts.failed told of each failure, with the reason
   * @param {any} parts.settings those of SETTINGS
   * @param {(low: number, high: number) => number} parts.uniform a random number, uniform between the two
   * @param {() => number} parts.clock seconds that only go forward, if possible including sleep
   */
  constructor({ renew, failed, settings, uniform, clock }) {
    this.#renew = renew;
    this.#failed = failed;
    this.#clock = clock;
    const isNeeded = () => clock() >= this.#dueAt;
    this.#worker = new Worker({ isNeeded, step: () => this.#step(), settings, uniform, clock });
  }

  /** Core is reachable: renews the session now if that is due. */
  online() {
    this.#timer ??= setInterval(() => this.#worker.wake(), LOOK_EVERY_MS);
    this.#worker.hurry();
  }

  /** Stops. */
  close() {
    clearInterval(this.#timer);
    this.#worker.close();
  }

  async #step() {
    let answer;
    try {
      answer = await this.#renew();
    } catch (error) {
      answer = { type: "Again", detail: error?.message ?? `${error}` };
    }
    if (answer?.type === "Again") {
      this.#worker.failed(answer.detail, answer.retryAfter ?? null);
      this.#failed(answer.detail);
      return;
    }
    this.#worker.well();
    this.#dueAt = this.#clock() + RENEW_EVERY_S;
  }
}
