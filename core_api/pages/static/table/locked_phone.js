// Lets a guest's phone be told by Web Push that an order is ready, while it is locked, until the party leaves.

import { deviceName } from "../shared/follow.js";
import { language } from "../shared/language.js";
import { askCore, canBePushed, onReplaced, subscribe, unsubscribe } from "../shared/core/web_push.js";

/** Below which the worker of the notices stands. */
const WORKER_SCOPE = "/static/table/";

/** Ends what an earlier party was told on this phone. */
export async function endLeftOver() {
  if (canBePushed()) await unsubscribe(await navigator.serviceWorker.getRegistration(WORKER_SCOPE));
}

/** Core tells it of the table that the token names, and of no other. */
export class LockedPhone {
  #token;
  #registration = null;

  /** @param token () → the guest's token */
  constructor(token) {
    this.#token = token;
  }

  /** Tells Core where this phone is told; where that fails, the open page still tells. */
  async begin(registration) {
    if (!canBePushed() || registration === null) return;
    if (this.#registration === null) onReplaced(() => this.#say().catch(() => {}));
    this.#registration = registration;
    await this.#say();
  }

  /** Tells it nothing any more. */
  async end() {
    const told = askCore(this.#token(), "DELETE", this.#path).catch(() => {});
    // Where Core does not hear of it, it learns from the push service that this phone is gone.
    await Promise.all([unsubscribe(this.#registration), told]);
  }

  async #say() {
    await activated(this.#registration);
    const body = await subscribe(this.#registration, this.#token(), language());
    await askCore(this.#token(), "PUT", this.#path, body);
  }

  get #path() {
    return `/v1/guest-pushes/${encodeURIComponent(deviceName("guest"))}`;
  }
}

/** A worker that is only being installed cannot subscribe yet. */
function activated({ active, waiting, installing }) {
  if (active !== null) return Promise.resolve();
  const worker = waiting ?? installing;
  return new Promise((/** @type {(ended?: void) => void} */ resolve) => {
    worker.addEventListener("statechange", () => ["activated", "redundant"].includes(worker.state) && resolve());
  });
}
