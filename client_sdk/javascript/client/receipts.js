// Tells Core between syncs what this device has applied, so that Core notices within seconds if an order
// reaches no device; and which orders it has shown to a person.
//
// As client_sdk/client/receipts.py. Receipts are collected for a second. A failed one is retried a few times
// only: the next sync tells Core the same.

import { MAX_SEEN_ORDERS, RECEIPTS_EVERY_S } from "../contract/contract_lists.js";
import { longestWait } from "../machine/backoff.js";

const MAX_TRIES = 4;
/** Orders that are remembered, so that one which is shown again is not said again. */
const MAX_SAID = 10_000;

/** Sends while there is something to send. */
class Sender {
  #say;
  #running = false;
  #stopped = false;

  /** @param say () → a promise of whether Core accepted the news; null: there is nothing to send */
  constructor(say) {
    this.#say = say;
  }

  /** Stops sending. */
  stop() {
    this.#stopped = true;
  }

  async wake() {
    if (this.#running) return;
    this.#running = true;
    let failures = 0;
    while (failures < MAX_TRIES) {
      const delay = longestWait(failures + 1, RECEIPTS_EVERY_S) * 1000;
      await new Promise((resolve) => setTimeout(resolve, delay));
      if (this.#stopped) return;
      let taken = /** @type {boolean | null} */ (false);
      try {
        taken = await this.#say();
      } catch (error) {
        // One that cannot be sent must not keep back all others; the page's log says why.
        reportError(error);
      }
      if (taken === null) break;
      failures = taken ? 0 : failures + 1;
    }
    this.#running = false;
  }
}

/** Reports what is applied. */
export class ReceiptSender extends Sender {
  #newest = null;

  /** @param send ({positions, epoch}) → a promise of whether Core accepted it */
  constructor(send) {
    super(async () => {
      const said = this.#newest;
      if (!(await send(said))) return false;
      return this.#newest === said ? null : true;
    });
  }

  /**
   * Notes what is applied; it is sent within about a second.
   *
   * @param news these: {positions, epoch}: the last seq of each channel, and the epoch of these seqs
   */
  applied(news) {
    this.#newest = news;
    this.wake();
  }
}

/** Reports which orders were shown, each once. */
export class SeenSender extends Sender {
  #waiting = new Set();
  #said = new Set();

  /** @param send (ids of orders) → a promise of whether Core accepted it */
  constructor(send) {
    super(async () => {
      const batch = [...this.#waiting].slice(0, MAX_SEEN_ORDERS);
      if (!(await send(batch))) return false;
      for (const id of batch) this.#waiting.delete(id);
      remember(this.#said, batch);
      return this.#waiting.size > 0 ? true : null;
    });
  }

  /**
   * Notes that an order was shown; it is sent within about a second. A failed report is sent with the next.
   *
   * @param orderId the id; one that was reported before is ignored
   */
  seen(orderId) {
    if (this.#said.has(orderId) || this.#waiting.has(orderId)) return;
    remember(this.#waiting, [orderId]);
    this.wake();
  }
}

function remember(ids, more) {
  for (const id of more) ids.add(id);
  for (const id of ids) {
    if (ids.size <= MAX_SAID) return;
    ids.delete(id);
  }
}
