// Follows channels for a page: one client for all its tabs, its state kept in the browser.

import { Client } from "../yabam/client.js";
import { Shared } from "../yabam/tabs.js";
import { Transport } from "../yabam/transport.js";

const SAVE_AFTER_MS = 400;
const LOOK_EVERY_MS = 5_000;
const SLEPT_MS = 10_000;

/** Seconds that only go forward, and go on while the machine sleeps. */
export function awakeClock(wall = () => Date.now(), monotonic = () => performance.now()) {
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
function deviceName(kind) {
  const key = `yabam.device.${kind}`;
  if (localStorage.getItem(key) === null) {
    const random = crypto.getRandomValues(new Uint8Array(6));
    const hex = [...random].map((byte) => byte.toString(16).padStart(2, "0")).join("");
    localStorage.setItem(key, `${kind}-${hex}`);
  }
  return localStorage.getItem(key);
}

/** Notes how far this machine's clock is from Core's, which dates the orders. */
class DatedTransport extends Transport {
  skewMs = 0;

  async sync(command, signal) {
    const before = Date.now();
    const input = await super.sync(command, signal);
    if (input.type === "SyncDone" && !(command.wait > 0)) {
      const middle = (before + Date.now()) / 2;
      this.skewMs = Date.parse(input.response.server_time) - middle;
    }
    return input;
  }
}

/** Reads what the browser keeps under `key`; null where there is nothing whole. */
export function stored(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}

/** Keeps a value in the browser; a full or forbidden storage costs only a longer first sync. */
export function store(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    localStorage.removeItem(key);
  }
}

/**
 * Follows the channels.
 *
 * @param kind terminal or table: begins the device's name
 * @param session as readToken gives it
 * @param channels their names
 * @param seen told ({orders, changes, status, leading}) whenever there is something new
 * @returns {transport, wake, close}
 */
export function follow({ kind, session, channels, seen }) {
  const name = `yabam.${kind}.${session.subject}.${[...channels].sort().join()}`;
  const device = deviceName(kind);
  let client = null;
  let saving = null;

  const about = () => client.report(device);
  const transport = new DatedTransport(location.origin, session.token, about);

  const save = () => {
    clearTimeout(saving);
    saving = null;
    // A tab that does not lead any more must not keep its old state over the newer one.
    if (shared.leading) store(name, client.state);
  };
  const changed = (news) => {
    shared.tell({ ...news, status: { ...news.status, skewMs: transport.skewMs } });
    saving ??= setTimeout(save, SAVE_AFTER_MS);
  };
  const lead = (saved) => {
    const uniform = (low, high) => low + (high - low) * Math.random();
    client = new Client({ channels, transport, saved, changed, clock: awakeClock(), uniform });
    return client;
  };
  const shared = new Shared({ name, lead, load: () => stored(name), seen });

  const wake = () => shared.wake();
  const stopListening = onWaking(wake, save);
  shared.start();
  const close = () => {
    stopListening();
    save();
    shared.close();
  };
  return { name, transport, wake, close };
}

/** Calls `wake` when the machine slept or the network changed, `save` when the page may go. */
function onWaking(wake, save) {
  const controller = new AbortController();
  const { signal } = controller;
  let looked = Date.now();
  let hiddenAt = null;
  const look = setInterval(() => {
    const slept = Date.now() - looked > LOOK_EVERY_MS + SLEPT_MS && !document.hidden;
    looked = Date.now();
    if (slept) wake();
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
