// Tells Core between syncs what this device has applied, so that an order that reaches nobody is known of within
// seconds; and which orders it has shown to a person.
//
// As client_sdk/client/receipts.py. What is to be said gathers for a second. One that could not be sent is tried
// again a few times: the next sync says the same.

import { MAX_SEEN_ORDERS, RECEIPTS_EVERY_S } from "../contract/contract_lists.js";
import { longestWait } from "../machine/backoff.js";

const MAX_TRIES = 4;
/** Orders that are remembered, so that one which is shown again is not said again. */
const MAX_SAID = 10_000;

/** Sends while there is something to say. */
class Sender {
  #say;
  #running = false;
  #stopped = false;

  /** @param say () → whether what is new was taken, as a promise; null: nothing more is to be said */
  constructor(say) {
    this.#say = say;
  }

  /** Sends nothing more. */
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
      const taken = await this.#say();
      if (taken === null) break;
      failures = taken ? 0 : failures + 1;
    }
    this.#running = false;
  }
}

/** Says what is applied. */
export class ReceiptSender extends Sender {
  #newest = null;

  /** @param send ({cursor, epoch}) → whether it was taken, as a promise */
  constructor(send) {
    super(async () => {
      const said = this.#newest;
      if (!(await send(said))) return false;
      return this.#newest === said ? null : true;
    });
  }

  /** Notes what is applied; it is sent within a second or so. */
  applied(news) {
    this.#newest = news;
    this.wake();
  }
}

/** Says which orders were shown, each once. */
export class SeenSender extends Sender {
  #waiting = new Set();
  #said = new Set();

  /** @param send (ids of orders) → whether it was taken, as a promise */
  constructor(send) {
    super(async () => {
      const batch = [...this.#waiting].slice(0, MAX_SEEN_ORDERS);
      if (!(await send(batch))) return false;
      for (const id of batch) this.#waiting.delete(id);
      remember(this.#said, batch);
      return this.#waiting.size > 0 ? true : null;
    });
  }

  /** Notes that an order was shown; it is said within a second or so. What Core did not take is said with the next. */
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
