// Lets a guest's locked phone be notified by Web Push that an order is ready, until the party leaves.

import { deviceName } from "../shared/follow.js";
import { language } from "../shared/language.js";
import { askCore, canBePushed, onReplaced, subscribe, unsubscribe } from "../shared/core/web_push.js";

/** The scope of the worker that shows the notifications. */
const WORKER_SCOPE = "/static/table/";

/** Ends the subscription that an earlier party has left on this phone. */
export async function endLeftOver() {
  if (canBePushed()) await unsubscribe(await navigator.serviceWorker.getRegistration(WORKER_SCOPE));
}

/** The subscription of a guest's phone. Core pushes only what concerns the token's table. */
export class LockedPhone {
  #token;
  #registration = null;

  /** @param token () → the guest's bearer token */
  constructor(token) {
    this.#token = token;
  }

  /**
   * Subscribes, and tells Core. If that fails, an open page still notifies; `registration` of the worker, or null.
   */
  async begin(registration) {
    if (!canBePushed() || registration === null) return;
    if (this.#registration === null) onReplaced(() => this.#subscribe().catch(() => {}));
    this.#registration = registration;
    await this.#subscribe();
  }

  /** Ends the subscription, here and at Core. */
  async end() {
    const request = askCore(this.#token(), "DELETE", this.#path).catch(() => {});
    // If Core cannot be reached, it learns from the push service that the subscription has ended.
    await Promise.all([unsubscribe(this.#registration), request]);
  }

  async #subscribe() {
    await activated(this.#registration);
    const body = await subscribe(this.#registration, this.#token(), language());
    await askCore(this.#token(), "PUT", this.#path, body);
  }

  get #path() {
    return `/v1/guest-pushes/${encodeURIComponent(deviceName("guest"))}`;
  }
}

/** Resolves when the worker is active: before that it cannot subscribe. */
function activated({ active, waiting, installing }) {
  if (active !== null) return Promise.resolve();
  const worker = waiting ?? installing;
  return new Promise((/** @type {(ended?: void) => void} */ resolve) => {
    worker.addEventListener("statechange", () => ["activated", "redundant"].includes(worker.state) && resolve());
  });
}
