// One connection for all tabs: the tab that holds a Web Lock follows, the others are told by it.
//
// Browsers allow six connections per host over HTTP/1.1, so each tab must not hold one of its own.
// When the leading tab closes or crashes, the browser hands its lock to the next one, which goes on
// from its own copy. Where a browser has no Web Locks (plain HTTP in a store's network), each tab
// leads for itself.
//
// A browser holds back the timers of a hidden tab, to one a minute. So each visible tab that does
// not lead reminds the leading one each second of what is due.

import { allOf } from "./book.js";
import { formatCursor } from "./contract.js";

const REMIND_EVERY_MS = 1_000;

/** Makes this page one of several that share a client. */
export class Shared {
  /** Whether this tab is the one that follows. */
  leading = false;
  #name;
  #lead;
  #load;
  #seen;
  #channel = null;
  #client = null;
  #release = null;
  #closing = new AbortController();
  #copy = null;
  #posted = null;
  #reminder = null;

  /**
   * @param name what the tabs share: one per signed-in person and set of channels
   * @param lead (saved state or null) → the Client, not started; called when this tab comes to lead
   * @param load () → the state stored in the browser, or null
   * @param seen told ({state, orders, changes, status, leading}) whenever there is something new
   */
  constructor({ name, lead, load, seen }) {
    this.#name = name;
    this.#lead = lead;
    this.#load = load;
    this.#seen = seen;
  }

  start() {
    if (!navigator.locks || !globalThis.BroadcastChannel) {
      this.#becomeLeader();
      return;
    }
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => this.#heard(data);
    this.#post({ type: "ask" });
    this.#reminder = setInterval(() => {
      if (!this.leading && !document.hidden) this.#post({ type: "remind" });
    }, REMIND_EVERY_MS);
    const held = () =>
      new Promise((release) => {
        this.#release = release;
        if (this.#closing.signal.aborted) release();
        else this.#becomeLeader();
      });
    navigator.locks.request(this.#name, { signal: this.#closing.signal }, held).catch((error) => {
      // A browser that forbids storage forbids locks too.
      if (error.name === "SecurityError") this.#becomeLeader();
      else if (error.name !== "AbortError") throw error;
    });
  }

  /** Something in this tab says that the device slept or the network is back. */
  wake() {
    if (this.#client) this.#client.wake();
    else this.#post({ type: "wake" });
  }

  /** Leaves; another tab takes over what this one led. */
  close() {
    this.#closing.abort();
    clearInterval(this.#reminder);
    const client = this.#client;
    this.#client = null;
    client?.close();
    this.leading = false;
    this.#channel?.close();
    this.#channel = null;
    this.#release?.();
  }

  /** To be called with what the Client tells, in the leading tab. */
  tell({ changes, status }) {
    if (!this.#client) return;
    const { state } = this.#client;
    const position = `${state.epoch} ${formatCursor(Object.entries(status.positions))}`;
    if (changes.length > 0 || position !== this.#posted) {
      this.#posted = position;
      this.#post({ type: "state", state, changes, status });
    } else {
      this.#post({ type: "status", status });
    }
    this.#show(state, changes, status);
  }

  #becomeLeader() {
    this.leading = true;
    clearInterval(this.#reminder);
    this.#client = this.#lead(this.#copy ?? this.#load());
    this.#client.start();
  }

  #heard(message) {
    if (this.#client) this.#asked(message);
    else if (message.type === "state") this.#followed(message);
    else if (message.type === "status" && this.#copy) {
      this.#show(this.#copy, [], message.status);
    }
  }

  #asked({ type }) {
    if (type === "wake") this.#client.wake();
    else if (type === "remind") this.#client.tick();
    else if (type === "ask") {
      const { state, status } = this.#client;
      this.#post({ type: "state", state, changes: [], status });
    }
  }

  #followed({ state, changes, status }) {
    this.#copy = state;
    this.#show(state, changes, status);
  }

  #post(message) {
    this.#channel?.postMessage(message);
  }

  #show(state, changes, status) {
    const orders = allOf(Object.values(state.orders));
    this.#seen({ state, orders, changes, status, leading: this.leading });
  }
}
