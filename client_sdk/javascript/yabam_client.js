// The client for orders and documents together, one for all tabs of a browser.
//
// As client_sdk/shared_state/yabam_client.py.

import { Client } from "./client.js";
import { carriesDocuments } from "./contract/contract.js";
import { SETTINGS } from "./contract/contract_lists.js";
import { SeenSender } from "./client/receipts.js";
import { EditsApi } from "./shared_state/edits_api.js";
import { OrderCommands } from "./shared_state/orders.js";
import { IndexedStore } from "./state/indexed_store.js";
import { SharedState, stateOf } from "./shared_state/shared_state.js";
import { subjectOf } from "./state/subject.js";
import { TabState } from "./shared_state/tab_state.js";
import { PageEvents } from "./page_events.js";
import { Shared } from "./tabs.js";
import { Transport } from "./transport.js";
import { uniform as anyBetween } from "./uniform.js";

/**
 * @typedef {object} YabamOptions
 * @property {string} core Core's address
 * @property {string | (() => string | Promise<string>)} token an access token, or a function that gives one
 * @property {string[]} channels the names of those to follow
 * @property {string} [subject] whom the token names; needed where a function gives the token
 * @property {string} [name] what the tabs of one person that follow these channels share
 * @property {{[key: string]: Resolver}} [resolvers] by key: decides a conflict
 * @property {{[key: string]: {[name: string]: Call}}} [calls] what the operator's functions will probably do
 * @property {() => any} [openStore] where edits wait and documents are remembered, as IndexedStore
 * @property {() => any} [load] the state of the orders as it was stored, or null
 * @property {(news: import("./types.js").News) => void} [seen] told of what is new of orders and status
 * @property {(status: import("./types.js").Status) => import("./types.js").Status} [adding] what the tab that leads tells all tabs of the client itself
 * @property {Transport} [transport] as Client has it, and these four
 * @property {{[name: string]: number}} [settings]
 * @property {() => number} [clock]
 * @property {(low: number, high: number) => number} [uniform]
 * @property {() => string} [newClient]
 */

/** @typedef {import("./types.js").JsonObject | null} Value */
/** @typedef {(key: string, base: Value, current: Value, own: Value) => Value | Promise<Value>} Resolver null keeps Core's */
/** @typedef {(value: Value, given: any) => Value} Call */

/** Follows channels of orders and of documents, on one stream. */
export class YabamClient {
  /**
   * The documents: `client.state("party:12/5").get("cart")`.
   *
   * @type {import("./shared_state/shared_state.js").State}
   */
  state;
  /**
   * The orders with what is done to them here, with or without a network.
   *
   * @type {OrderCommands}
   */
  commands;
  /**
   * Events between the parts of this page and the tabs of the same `name`.
   *
   * @type {PageEvents}
   */
  page;
  /** The open orders of all channels, oldest first, as they stand now. */
  orders = /** @type {import("./types.js").Order[]} */ ([]);
  /** What a page shows of the client itself, as Client.status; null: nothing is known yet. */
  status = /** @type {import("./types.js").Status | null} */ (null);
  #client = /** @type {Client | null} */ (null);
  #tab;
  #tabs;
  #callbacks = /** @type {Set<{call: () => void}>} */ (new Set());
  #shown;

  /** @param {YabamOptions} options */
  constructor({
    core,
    token,
    channels,
    subject = typeof token === "string" ? subjectOf(token) : undefined,
    name = `yabam ${[...channels].sort().join()} ${subject}`,
    resolvers = {},
    calls = {},
    openStore = () => new IndexedStore(),
    load = () => null,
    seen = () => {},
    adding = (status) => status,
    transport = new Transport(core, token),
    settings = {},
    clock = () => performance.now() / 1000,
    uniform = anyBetween,
    newClient = randomId,
  }) {
    // Nobody's edits may come into another's queue, not even for a moment.
    if (!subject) throw new TypeError("say whom the token names: subject");
    const api = new EditsApi(core, (refused) => transport.refused(refused));
    this.#tab = new TabState({
      ...{ name, subject, resolvers, calls, openStore, newClient, api, transport, uniform, clock },
      channels: channels.filter(carriesDocuments),
      followed: channels,
      book: () => this.#client?.book ?? null,
      log: () => this.#client?.log ?? null,
      settings: { ...SETTINGS, ...settings },
      coreTime: () => this.#client?.coreTime ?? null,
      differs: (channel) => this.#client?.differs(channel),
    });
    const documents = this.#tab;
    /** @param {any} news */
    const changed = (news) => this.#tabs.tell({ ...news, status: adding(news.status) });
    /** @param {any} saved */
    const lead = (saved) => {
      this.#client = new Client({ channels, transport, saved, settings, changed, clock, uniform, documents });
      documents.lead().catch((error) => reportError(error));
      return this.#client;
    };
    /** @param {import("./types.js").News} news */
    const told = (news) => {
      Object.assign(this, { orders: news.orders, status: news.status });
      documents.noteOrders();
      seen(news);
      this.#tell();
    };
    this.#tabs = new Shared({ name, lead, load, seen: told });
    this.page = new PageEvents(name);
    this.#shown = new SeenSender((orders) => transport.seen(orders));
    this.commands = new OrderCommands({ tab: documents, orders: () => this.orders });
    this.state = stateOf(new SharedState({ tab: documents, api, transport }));
  }

  /** Follows from now on. */
  start() {
    this.#tabs.start();
  }

  /**
   * Calls `callback` whenever something of `orders` or `status` may be new; the answer ends it.
   *
   * @param {() => void} callback
   * @returns {() => void}
   */
  subscribe(callback) {
    const observer = { call: callback };
    this.#callbacks.add(observer);
    return () => void this.#callbacks.delete(observer);
  }

  /** Something says that the device slept or the network is back. */
  wake() {
    this.#tabs.wake();
  }

  /**
   * Says that this device has shown an order to a person: once for each, within a second or so. The
   * transport must name the device (`about`), and its token be an owner's.
   */
  seen(orderId) {
    this.#shown.seen(orderId);
  }

  /**
   * The value of Yabam-Device for a device of this name: what a transport's `about` gives.
   *
   * @param {string} device
   */
  report(device) {
    return this.#client?.report(device) ?? `${device}; mode=starting; pending=0`;
  }

  /** Leaves; another tab goes on. Edits that are not settled wait in the store. */
  async close() {
    this.#shown.stop();
    this.#tabs.close();
    this.page.close();
    await this.#tab.close();
  }

  #tell() {
    for (const { call } of [...this.#callbacks]) {
      try {
        call();
      } catch (error) {
        // One part's bug must not end the client for the others.
        reportError(error);
      }
    }
  }
}

function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
