// One connection for all tabs: the tab that holds a Web Lock follows and sends its news to the others.
//
// Browsers allow six connections per host over HTTP/1.1, so each tab must not hold one of its own.
// When the leading tab closes or crashes, the browser gives its lock to the next one, which continues with its
// own copy. In a browser without Web Locks (plain HTTP in a store's network), each tab leads for itself.
//
// A browser delays the timers of a hidden tab, or freezes the tab while it holds the lock. So each visible tab
// that does not lead sends reminders to the leading one, and takes the lead if it does not answer.

import { allOf } from "./client/order_book.js";

const REMIND_EVERY_MS = 1_000;
/** After so many reminders in a row without an answer the leading tab counts as frozen. */
const PATIENCE = 5;

/** Makes this page one of several that share a client. */
export class Shared {
  /** Whether this tab is the one that follows. */
  leading = false;
  #name;
  #lead;
  #load;
  #seen;
  #channel = /** @type {BroadcastChannel | null} */ (null);
  #client = /** @type {import("./client.js").Client | null} */ (null);
  #waiting = /** @type {AbortController | null} */ (null);
  #release = /** @type {(() => void) | null} */ (null);
  #reminder = /** @type {number | undefined} */ (undefined);
  #unanswered = 0;
  #copy = /** @type {any} */ (null);
  #posted = /** @type {any} */ (null);
  #listed = { of: /** @type {any} */ (null), orders: /** @type {import("./types.js").Order[]} */ ([]) };
  #status = /** @type {import("./types.js").Status | null} */ (null);

  /**
   * @param {object} options
   * @param {string} options.name what the tabs share: one per signed-in person and set of channels
   * @param {(saved: any) => import("./client.js").Client} options.lead (saved state or null) → the Client, not started;
   *   called when this tab comes to lead
   * @param {() => any} options.load the state stored in the browser, or null
   * @param {(news: import("./types.js").News) => void} options.seen told whenever there is something new
   */
  constructor({ name, lead, load, seen }) {
    this.#name = name;
    this.#lead = lead;
    this.#load = load;
    this.#seen = seen;
  }

  start() {
    try {
      if (navigator.locks) this.#channel = new BroadcastChannel(this.#name);
    } catch {
      // Not supported, or forbidden like storage.
    }
    if (this.#channel === null) {
      this.#becomeLeader();
      return;
    }
    this.#channel.onmessage = ({ data }) => this.#heard(data);
    this.#reminder = setInterval(() => this.#remind(), REMIND_EVERY_MS);
    this.#follow();
  }

  /** Something in this tab says that the device slept or the network is back. */
  wake() {
    if (this.#client) this.#client.wake();
    else this.#post({ type: "wake" });
  }

  /** Leaves; if this tab led, another one takes over. */
  close() {
    clearInterval(this.#reminder);
    this.#waiting?.abort();
    this.#waiting = null;
    this.#stop();
    this.#channel?.close();
    this.#channel = null;
    this.#release?.();
  }

  /**
   * To be called with what the Client tells, in the leading tab.
   *
   * @param {{changes: import("./types.js").OrderChange[], status: import("./types.js").Status}} news those of the book
   *   since the last call, and the status now
   */
  tell({ changes, status }) {
    if (!this.#client) return;
    this.#status = status;
    const { state } = this.#client;
    // After most inputs nothing has moved. To compare the positions themselves would take a look at each channel.
    const { epoch, positions } = state;
    if (changes.length > 0 || epoch !== this.#posted?.epoch || positions !== this.#posted.positions) {
      this.#posted = { epoch, positions };
      this.#post({ type: "state", state, changes, status });
    } else {
      this.#post({ type: "status", status });
    }
    this.#show(state, changes, status);
  }

  // ── who leads ────────────────────────────────────────────────────────────────────────────────

  #follow() {
    this.#unanswered = 0;
    this.#post({ type: "ask" });
    this.#wait(false);
  }

  /** Waits until it may lead; `steal` takes the lead at once. */
  #wait(steal) {
    this.#waiting?.abort();
    const waiting = new AbortController();
    this.#waiting = waiting;
    const held = () =>
      /** @type {Promise<void>} */ (new Promise((release) => {
        // It may have left in the meantime.
        if (this.#waiting !== waiting) return release();
        this.#release = release;
        return this.#becomeLeader();
      }));
    const options = steal ? { steal } : { signal: waiting.signal };
    navigator.locks.request(this.#name, options, held).catch((error) => {
      if (this.#waiting !== waiting) return;
      // A browser that forbids storage forbids locks too.
      if (error.name === "SecurityError") this.#becomeLeader();
      else if (error.name === "AbortError") this.#stepDown();
      else throw error;
    });
  }

  #becomeLeader() {
    this.leading = true;
    this.#posted = null;
    const client = this.#lead(this.#copy ?? this.#load());
    this.#client = client;
    client.start();
  }

  /** Another tab took the lead while this one was frozen. */
  #stepDown() {
    this.#copy = this.#client?.state;
    this.#stop();
    this.#follow();
  }

  #stop() {
    // Gives up the lead before the client reports that it is closed, as the other tabs are not.
    const client = this.#client;
    this.#client = null;
    this.leading = false;
    client?.close();
  }

  #remind() {
    if (this.leading || document.hidden) {
      this.#unanswered = 0;
      return;
    }
    this.#post({ type: "remind" });
    this.#unanswered += 1;
    if (this.#unanswered > PATIENCE) {
      this.#unanswered = 0;
      this.#wait(true);
    }
  }

  // ── what they tell each other ────────────────────────────────────────────────────────────────

  #heard(message) {
    if (this.#client) {
      this.#asked(this.#client, message);
      return;
    }
    if (["state", "status", "here"].includes(message.type)) this.#unanswered = 0;
    if (message.type === "state") {
      this.#copy = message.state;
      this.#show(message.state, message.changes, message.status);
    } else if (message.type === "status" && this.#copy) {
      this.#show(this.#copy, [], message.status);
    }
  }

  /**
   * @param {import("./client.js").Client} client
   * @param {{type: string}} message
   */
  #asked(client, { type }) {
    if (type === "wake") client.wake();
    else if (type === "remind") {
      this.#post({ type: "here" });
      client.tick();
    } else if (type === "ask") {
      const { state } = client;
      this.#post({ type: "state", state, changes: [], status: this.#status });
    }
  }

  #post(message) {
    this.#channel?.postMessage(message);
  }

  #show(state, changes, status) {
    if (this.#listed.of !== state.orders) {
      this.#listed = { of: state.orders, orders: allOf(Object.values(state.orders)) };
    }
    this.#seen({ state, orders: this.#listed.orders, changes, status, leading: this.leading });
  }
}
