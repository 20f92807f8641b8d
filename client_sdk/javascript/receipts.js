// Tells Core between syncs what this device has applied, so that an order that reaches nobody is known of within
// seconds.
//
// As client_sdk/client/receipts.py. What is applied gathers for a second. One that could not be sent is tried
// again a few times: the next sync says the same.

const EVERY_MS = 1_000;
const MOST_TRIES = 4;

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
