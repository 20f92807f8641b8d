// Follows channels for a page: one client for all its tabs. The state of the orders is stored in the browser.

import { subjectOf } from "../yabam/state/subject.js";
import { Transport } from "../yabam/transport.js";
import { YabamClient } from "../yabam/yabam_client.js";
import { ofBrowser } from "./storage.js";

const SAVE_AFTER_MS = 400;
const LOOK_EVERY_MS = 5_000;
const SLEPT_MS = 10_000;

/** Returns a clock in seconds that never goes back, and that also counts the time while the machine sleeps. */
function awakeClock(wall = () => Date.now(), monotonic = () => performance.now()) {
  let skipped = 0;
  let before = { wall: wall(), monotonic: monotonic() };
  return () => {
    const now = { wall: wall(), monotonic: monotonic() };
    const slept = now.wall - before.wall - (now.monotonic - before.monotonic);
    if (slept > SLEPT_MS) skipped += slept;
    before = now;
    return (now.monotonic + skipped) / 1000;
  };
}

/** This device's name, which begins with `kind`. It is made once and stored in the browser. */
export function deviceName(kind) {
  const key = `yabam.device.${kind}`;
  if (ofBrowser.read(key) === null) {
    const random = crypto.getRandomValues(new Uint8Array(6));
    const hex = [...random].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    ofBrowser.write(key, `${kind}-${hex}`);
  }
  return ofBrowser.read(key);
}

/**
 * The Transport of a page. It also measures the difference between this machine's clock and Core's, by which orders
 * are dated and tokens expire, and notes which token Core has refused.
 */
class PageTransport extends Transport {
  /** Milliseconds to add to Date.now() to get Core's time; null: not known yet. */
  skewMs = null;
  #credentials;

  constructor(core, credentials, about = null) {
    super(core, () => credentials.give(), about);
    this.#credentials = credentials;
  }

  async sync(command, signal) {
    const { token } = this.#credentials.session;
    const before = Date.now();
    const input = await super.sync(command, signal);
    if (input.type === "SyncFailed" && input.failure.kind === "unauthorized") this.#credentials.refuse(token);
    if (input.type === "SyncDone" && !(command.wait > 0)) {
      const middle = (before + Date.now()) / 2;
      this.skewMs = Date.parse(input.response.server_time) - middle;
    }
    return input;
  }

  /** As Transport.refused. The page then has no valid token until somebody signs in again. */
  refused(token) {
    super.refused(token);
    this.#credentials.refuse(token);
  }

  /**
   * As Transport.command; the answer also has the token that the command was sent with.
   *
   * @param {Parameters<Transport["command"]>} given
   */
  async command(...given) {
    const { token } = this.#credentials.session;
    return { ...(await super.command(...given)), token };
  }
}

/**
 * Follows channels. Nothing is received before `start` is called.
 *
 * @param name the tabs with this name share one client; the state of the orders is stored under it
 * @param credentials the Credentials of the signed-in person
 * @param channels the names of all channels, of orders and of documents
 * @param device this device's name at Core, which records what it has received; null: Core records nothing
 * @param calls predictions of the operator's functions, as YabamClient takes them
 * @param seen called with {orders, changes, status, leading} whenever there is news of orders or of the status
 * @returns the object {transport, state, start, close}. `state` is as YabamClient.state; `close({forgets})` returns a
 *   promise that resolves when the client is closed
 */
export function follow({ name, credentials, channels, device = null, calls = {}, seen }) {
  // Another tab may lead, but what this tab has received is reported under the same device name.
  const about = device === null ? null : () => client.report(device);
  const transport = new PageTransport(location.origin, credentials, about);
  let newest = null;
  let saving = null;
  let stopListening = () => {};

  const save = () => {
    clearTimeout(saving);
    saving = null;
    // Only the leading tab saves: a tab that does not lead would replace newer state by its older one.
    if (newest !== null) ofBrowser.writeJson(name, newest);
  };
  const client = new YabamClient({
    ...{ core: location.origin, channels, name, transport, calls },
    subject: subjectOf(credentials.session.token),
    token: () => credentials.give(),
    clock: awakeClock(),
    load: () => ofBrowser.readJson(name),
    adding: (status) => {
      const signedOut = credentials.refused ? credentials.session.expiresAt : null;
      return { ...status, skewMs: transport.skewMs, signedOut };
    },
    seen: (/** @type {any} */ news) => {
      // The leading tab uses the same token, unless that expires at another time.
      const { token, expiresAt } = credentials.session;
      if (news.status?.signedOut === expiresAt) credentials.refuse(token);
      newest = news.leading ? news.state : null;
      saving ??= setTimeout(save, SAVE_AFTER_MS);
      seen(news);
    },
  });
  const start = () => {
    const wake = () => client.wake();
    stopListening = onWaking(wake, save);
    credentials.onChange(() => {
      if (credentials.refused) return;
      transport.renew();
      wake();
    });
    client.start();
  };
  /**
   * Stops following. With `forgets`, the latest state of the orders is not stored. Returns a promise of the client's
   * end.
   */
  const close = ({ forgets = false } = {}) => {
    stopListening();
    if (forgets) newest = null;
    save();
    // News that still arrives is not stored.
    saving = 0;
    return client.close();
  };
  return { transport, state: client.state, start, close };
}

/**
 * Calls `wake` when the machine has slept, its clock was set or the network has changed, and `save` when the page may
 * be closed. Returns a function that stops both.
 */
function onWaking(wake, save) {
  const controller = new AbortController();
  const { signal } = controller;
  let looked = Date.now();
  let hiddenAt = null;
  const look = setInterval(() => {
    // Setting the clock looks like sleep. After that the difference to Core's clock must be measured again, too.
    const jumped = Math.abs(Date.now() - looked - LOOK_EVERY_MS) > SLEPT_MS && !document.hidden;
    looked = Date.now();
    if (jumped) wake();
  }, LOOK_EVERY_MS);
  addEventListener("online", wake, { signal });
  addEventListener("offline", wake, { signal });
  addEventListener("pagehide", save, { signal });
  // A page that comes out of the browser's back/forward cache has dead connections.
  addEventListener("pageshow", (event) => event.persisted && wake(), { signal });
  document.addEventListener(
    "visibilitychange",
    () => {
      if (document.hidden) {
        hiddenAt = Date.now();
        save();
      } else if (hiddenAt !== null && Date.now() - hiddenAt > SLEPT_MS) {
        looked = Date.now();
        wake();
      }
    },
    { signal },
  );
  return () => {
    clearInterval(look);
    controller.abort();
  };
}
