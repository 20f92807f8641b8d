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
 * @property {string | (() => string | Promise<string>)} token an access token, or a function that returns one
 * @property {string[]} channels the channels to follow
 * @property {string} [subject] the token's subject; needed if a function returns the token
 * @property {string} [name] the name that the tabs of one person with these channels share
 * @property {{[key: string]: Resolver}} [resolvers] the functions that resolve conflicts, by key
 * @property {{[key: string]: {[name: string]: Call}}} [calls] predictions of the operator's functions
 * @property {() => any} [openStore] returns the store of edits and documents, as IndexedStore
 * @property {() => any} [load] returns the stored state of the orders, or null
 * @property {(news: import("./types.js").News) => void} [seen] called with the news of orders and status
 * @property {(status: import("./types.js").Status) => import("./types.js").Status} [adding] changes the status
 * that the leading tab sends to all tabs
 * @property {Transport} [transport] this and the next four as in ClientOptions
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
   * Orders, and commands that change them, with or without a network.
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
  /** The current open orders of all channels, oldest first. */
  orders = /** @type {import("./types.js").Order[]} */ ([]);
  /** The client's status, as Client.status; null: nothing is known yet. */
  status = /** @type {import("./types.js").Status | null} */ (null);
  #client = /** @type {Client | null} */ (null);
  #tab;
  #tabs;
  #callbacks = /** @type {Set<{call: () => void}>} */ (new Set());
  #shown;

  /**
   * @param {YabamOptions} options
   * @throws {TypeError} `token` is a function, and `subject` is missing
   */
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
    // One subject's edits must never get into another subject's queue.
    if (!subject) throw new TypeError("`subject` is missing: name the token's subject");
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

  /** Starts to follow the channels. */
  start() {
    this.#tabs.start();
  }

  /**
   * Calls `callback` whenever `orders` or `status` may have changed. Returns the unsubscriber.
   *
   * @param {() => void} callback reads them to see what has changed
   * @returns {() => void}
   */
  subscribe(callback) {
    const observer = { call: callback };
    this.#callbacks.add(observer);
    return () => void this.#callbacks.delete(observer);
  }

  /** To be called when the device slept or the network is back. */
  wake() {
    this.#tabs.wake();
  }

  /**
   * Reports that this device has shown an order to a person: once per order, within about a second. The
   * transport must name the device (`about`), and the token must be an owner's.
   *
   * @param {string} orderId the order's id at Core
   */
  seen(orderId) {
    this.#shown.seen(orderId);
  }

  /**
   * The value of Yabam-Device for a device of this name: the result of a transport's `about`.
   *
   * @param {string} device its name within its store, such as `till-1`
   */
  report(device) {
    return this.#client?.report(device) ?? `${device}; mode=starting; pending=0`;
  }

  /** Leaves; another tab continues. Unsettled edits stay in the store. */
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
        // An error in one subscriber must not end the client for the others.
        reportError(error);
      }
    }
  }
}

function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
