// Follows channels for a page: one client for all its tabs, its state kept in the browser.

import { Client } from "../yabam/client.js";
import { SETTINGS } from "../yabam/contract/contract_lists.js";
import { EditsApi } from "../yabam/shared_state/edits_api.js";
import { IndexedStore } from "../yabam/state/indexed_store.js";
import { SharedState, stateOf } from "../yabam/shared_state/shared_state.js";
import { subjectOf } from "../yabam/state/subject.js";
import { TabState } from "../yabam/shared_state/tab_state.js";
import { Shared } from "../yabam/tabs.js";
import { Transport } from "../yabam/transport.js";
import { newKey } from "./outbox.js";
import { ofBrowser } from "./storage.js";

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
export class PageTransport extends Transport {
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
    if (input.failure?.kind === "unauthorized") this.#credentials.refuse(token);
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

  /** As Transport's, with the token that it was sent with. */
  async command(...given) {
    const { token } = this.#credentials.session;
    return { ...(await super.command(...given)), token };
  }
}

/**
 * Follows the channels, from `start` on: until then nothing is told.
 *
 * @param kind terminal or table: begins the device's name
 * @param credentials the Credentials of who is signed in
 * @param channels the names of those of orders
 * @param documents the names of those of documents
 * @param seen told ({orders, changes, status, leading}) whenever there is something new
 * @returns {name, device, transport, state, start, close}; `device` is this one's name at Core, `state` as YabamClient has it, null without documents
 */
export function follow({ kind, credentials, channels, documents = [], seen }) {
  const name = `yabam.${kind}.${credentials.session.subject}.${[...channels].sort().join()}`;
  const device = deviceName(kind);
  let client = null;
  let saving = null;

  // Another tab may lead; what this one says is said in the name of the same device.
  const about = () => client?.report(device) ?? `${device}; mode=starting; pending=0`;
  const transport = new PageTransport(location.origin, credentials, about);
  const clock = awakeClock();
  const uniform = (low, high) => low + (high - low) * Math.random();
  const followed = [...channels, ...documents];
  const { tab, state } = documents.length === 0 ? { tab: null, state: null } : documentsOf({
    ...{ name, followed, transport, clock, uniform },
    subject: subjectOf(credentials.session.token),
    channels: documents,
    client: () => client,
  });

  const save = () => {
    clearTimeout(saving);
    saving = null;
    // A tab that does not lead any more must not keep its old state over the newer one.
    if (shared.leading) ofBrowser.writeJson(name, client.state);
  };
  const changed = (news) => {
    const { skewMs } = transport;
    const signedOut = credentials.refused ? credentials.session.expiresAt : null;
    shared.tell({ ...news, status: { ...news.status, skewMs, signedOut } });
    saving ??= setTimeout(save, SAVE_AFTER_MS);
  };
  const lead = (saved) => {
    client = new Client({ channels: followed, transport, saved, changed, clock, uniform, documents: tab });
    tab?.lead().catch((error) => reportError(error));
    return client;
  };
  const told = (news) => {
    // The leading tab has the same token, unless it ends at another time.
    const { token, expiresAt } = credentials.session;
    if (news.status?.signedOut === expiresAt) credentials.refuse(token);
    tab?.noteOrders();
    seen(news);
  };
  const load = () => ofBrowser.readJson(name);
  const shared = new Shared({ name, lead, load, seen: told });

  let stopListening = () => {};
  const start = () => {
    const wake = () => shared.wake();
    stopListening = onWaking(wake, save);
    credentials.onChange(() => {
      if (credentials.refused) return;
      transport.renew();
      wake();
    });
    shared.start();
  };
  const close = () => {
    stopListening();
    save();
    shared.close();
    tab?.close();
  };
  return { name, device, transport, state, start, close };
}

/**
 * The documents of these channels: {tab, state}; `tab` is what a Client takes as its `documents`, `state` what
 * YabamClient has under that name.
 *
 * @param name what the tabs share
 * @param subject whose edits they are
 * @param channels of documents; `followed`: all that the client follows
 * @param transport the Transport of the page
 * @param client () → the Client, in the tab that leads; else null
 */
function documentsOf({ name, subject, channels, followed, transport, client, clock, uniform }) {
  const api = new EditsApi(transport.core, (token) => transport.refused(token));
  const tab = new TabState({
    ...{ name, subject, channels, followed, api, transport, uniform, clock },
    resolvers: {},
    calls: {},
    openStore: () => new IndexedStore(),
    newClient: newKey,
    book: () => client()?.book ?? null,
    settings: SETTINGS,
    coreTime: () => client().coreTime,
    differs: (channel) => client().differs(channel),
  });
  return { tab, state: stateOf(new SharedState({ tab, api, transport })) };
}

/** Calls `wake` when the machine slept, its clock was set or the network changed, `save` when the page may go. */
export function onWaking(wake, save) {
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
