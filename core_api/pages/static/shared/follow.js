// Follows channels for a page: one client for all its tabs, its state kept in the browser.

import { subjectOf } from "../yabam/state/subject.js";
import { Transport } from "../yabam/transport.js";
import { YabamClient } from "../yabam/yabam_client.js";
import { ofBrowser } from "./storage.js";

const SAVE_AFTER_MS = 400;
const LOOK_EVERY_MS = 5_000;
const SLEPT_MS = 10_000;

/** Seconds that only go forward, and go on while the machine sleeps. */
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

/** This device's name, the same for as long as the browser keeps its storage. */
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
 * Notes how far this machine's clock is from Core's, which dates the orders and ends the tokens;
 * and which token Core refused.
 */
class PageTransport extends Transport {
  /** What to add to Date.now() for Core's time; null: not known yet. */
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

  /** As Transport's; its holder has no other until somebody signs in again. */
  refused(token) {
    super.refused(token);
    this.#credentials.refuse(token);
  }

  /**
   * As Transport's, with the token that it was sent with.
   *
   * @param {Parameters<Transport["command"]>} given
   */
  async command(...given) {
    const { token } = this.#credentials.session;
    return { ...(await super.command(...given)), token };
  }
}

/**
 * Follows the channels, from `start` on: until then nothing is told.
 *
 * @param name what the tabs of one holder share, and where the state of the orders is kept
 * @param credentials the Credentials of who is signed in
 * @param channels the names of all, of orders and of documents
 * @param device this one's name at Core; null: Core need not know what it has received
 * @param calls as YabamClient takes them
 * @param seen told ({orders, changes, status, leading}) whenever there is something new of orders
 * Returns {transport, state, start, close}; `state` as YabamClient has it
 */
export function follow({ name, credentials, channels, device = null, calls = {}, seen }) {
  // Another tab may lead; what this one says is said in the name of the same device.
  const about = device === null ? null : () => client.report(device);
  const transport = new PageTransport(location.origin, credentials, about);
  let newest = null;
  let saving = null;
  let stopListening = () => {};

  const save = () => {
    clearTimeout(saving);
    saving = null;
    // A tab that does not lead must not keep its old state over the newer one.
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
      // The leading tab has the same token, unless it ends at another time.
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
  /** Ends it; `forgets`: keeps nothing of the orders. A promise of the end of it. */
  const close = ({ forgets = false } = {}) => {
    stopListening();
    if (forgets) newest = null;
    save();
    // What still comes is not kept.
    saving = 0;
    return client.close();
  };
  return { transport, state: client.state, start, close };
}

/** Calls `wake` when the machine slept, its clock was set or the network changed, `save` when the page may go. */
function onWaking(wake, save) {
  const controller = new AbortController();
  const { signal } = controller;
  let looked = Date.now();
  let hiddenAt = null;
  const look = setInterval(() => {
    // A clock that was set looks alike, and the difference to Core's must be taken anew.
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
