// Tells Core between syncs what this device has applied, so that an order that reaches nobody is known of within
// seconds; and which orders it has shown to a person.
//
// As client_sdk/client/receipts.py. What is to be said gathers for a second. One that could not be sent is tried
// again a few times: the next sync says the same.

import { MAX_SEEN_ORDERS } from "./contract_lists.js";

const EVERY_MS = 1_000;
const MOST_TRIES = 4;
/** Orders that are remembered, so that one which is shown again is not said again. */
const MOST_SAID = 10_000;

/** Gathers, and sends while there is something to say. */
export class ReceiptSender {
  #send;
  #newest = null;
  #running = false;
  #stopped = false;

  /** @param send ({cursor, epoch}) → whether it was taken, as a promise */
  constructor(send) {
    this.#send = send;
  }

  /** Notes what is applied; it is sent within a second or so. */
  applied(news) {
    this.#newest = news;
    if (!this.#running) this.#run();
  }

  /** Sends nothing more. */
  stop() {
    this.#stopped = true;
  }

  async #run() {
    this.#running = true;
    let failures = 0;
    while (this.#newest !== null && !this.#stopped) {
      const delay = EVERY_MS * 2 ** failures;
      await new Promise((resolve) => setTimeout(resolve, delay));
      const news = this.#newest;
      this.#newest = null;
      if (this.#stopped) break;
      if (await this.#send(news)) {
        failures = 0;
      } else {
        failures = (failures + 1) % MOST_TRIES;
        if (failures > 0) this.#newest ??= news;
      }
    }
    this.#running = false;
  }
}

/** Gathers the orders that were shown, and says each once. */
export class SeenSender {
  #send;
  #waiting = new Set();
  #said = new Set();
  #running = false;
  #stopped = false;

  /** @param send (ids of orders) → whether it was taken, as a promise */
  constructor(send) {
    this.#send = send;
  }

  /** Notes that an order was shown; it is said within a second or so. */
  seen(orderId) {
    if (this.#said.has(orderId) || this.#waiting.has(orderId)) return;
    this.#waiting.add(orderId);
    if (!this.#running) this.#run();
  }

  /** Sends nothing more. */
  stop() {
    this.#stopped = true;
  }

  async #run() {
    this.#running = true;
    let failures = 0;
    while (this.#waiting.size > 0 && failures < MOST_TRIES) {
      const delay = EVERY_MS * 2 ** failures;
      await new Promise((resolve) => setTimeout(resolve, delay));
      if (this.#stopped) return;
      const batch = [...this.#waiting].slice(0, MAX_SEEN_ORDERS);
      if (!(await this.#send(batch))) {
        failures += 1;
        continue;
      }
      failures = 0;
      for (const id of batch) {
        this.#waiting.delete(id);
        this.#said.add(id);
      }
      keep(this.#said, MOST_SAID);
    }
    // What Core did not take is said with the next order that is shown.
    keep(this.#waiting, MOST_SAID);
    this.#running = false;
  }
}

function keep(ids, most) {
  for (const id of ids) {
    if (ids.size <= most) return;
    ids.delete(id);
  }
}
