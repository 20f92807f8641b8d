// A loop for one kind of work: woken when there is work, delayed after failures.
//
// `RetryTimer` of client_sdk/shared_state/sender.py, and the loop around it.

import { Backoff } from "../machine/backoff.js";

const LONGEST_TIMER_MS = 60_000;

/** The loop that sends edits, or fetches large values. */
export class Worker {
  /** Why the last attempt failed; null: it succeeded. */
  lastError = /** @type {string | null} */ (null);
  #isNeeded;
  #step;
  #backoff;
  #clock;
  #notBefore = 0;
  #keptAwayUntil = 0;
  #running = false;
  #closed = false;
  #timer = /** @type {number | undefined} */ (undefined);

  /**
   * @param isNeeded () → whether there is work
   * @param step does a part of it; it calls `well` or `failed`
   * @param settings those of SETTINGS
   * @param uniform (low, high) → a random number, uniform between the two
   * @param clock seconds that only go forward
   */
  constructor({ isNeeded, step, settings, uniform, clock }) {
    this.#isNeeded = isNeeded;
    this.#step = step;
    this.#backoff = new Backoff(settings, uniform);
    this.#clock = clock;
  }

  /** There may be work; a running back-off continues. */
  wake() {
    if (this.#closed || this.#running || !this.#isNeeded()) return;
    clearTimeout(this.#timer);
    const waitMs = (Math.max(this.#notBefore, this.#keptAwayUntil) - this.#clock()) * 1000;
    if (waitMs <= 0) this.#run();
    else this.#timer = setTimeout(() => this.wake(), Math.min(waitMs, LONGEST_TIMER_MS));
  }

  /** Core is reachable again: ends the back-off, unless Core asked for more time. */
  hurry() {
    this.#notBefore = 0;
    this.wake();
  }

  /** The attempt succeeded. */
  well() {
    this.#backoff.forget();
    this.#notBefore = 0;
    this.lastError = null;
  }

  /**
   * The attempt failed: tries again after the back-off, or as many seconds as Core asks for.
   *
   * @param detail why it failed, for a person
   * @param retryAfter those seconds; null: Core does not ask for any
   */
  failed(detail, retryAfter = null) {
    const now = this.#clock();
    this.lastError = detail;
    this.#notBefore = now + this.#backoff.failed(now);
    this.#keptAwayUntil = now + (retryAfter ?? 0);
  }

  /** Stops the loop. */
  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #run() {
    this.#running = true;
    try {
      await this.#step();
    } catch (error) {
      // A bug must not become a tight loop, nor end all work for good.
      this.failed(`it failed and is restarted: ${error?.message ?? error}`);
    }
    this.#running = false;
    this.wake();
  }
}
