// The client for orders and documents together, one for all tabs of a browser.
//
// As client_sdk/shared/yabam_client.py.

import { Client } from "./client.js";
import { carriesDocuments } from "./contract.js";
import { SETTINGS } from "./contract_lists.js";
import { SeenSender } from "./receipts.js";
import { EditsApi } from "./state/edits_api.js";
import { OrderCommands } from "./state/orders.js";
import { IndexedStore } from "./state/indexed_store.js";
import { SharedState, stateOf } from "./state/shared_state.js";
import { subjectOf } from "./state/subject.js";
import { TabState } from "./state/tab_state.js";
import { Shared } from "./tabs.js";
import { Transport } from "./transport.js";

/** Follows channels of orders and of documents, on one stream. */
export class YabamClient {
  /** The documents: `client.state("party:12/5").get("cart")`, as SharedState. */
  state;
  /** The orders with what is done to them here, with or without a network, as OrderCommands. */
  commands;
  /** The open orders of all channels, oldest first, as they stand now. */
  orders = [];
  /** What a page shows of the client itself, as Client.status; null: nothing is known yet. */
  status = null;
  #tab;
  #tabs;
  #shown;

  /**
   * @param core Core's address
   * @param token an access token, or a function that gives one (or its promise)
   * @param channels the names of those to follow
   * @param subject whom the token names; needed where a function gives the token
   * @param name what the tabs of one person that follow these channels share
   * @param resolvers by key, (key, base, current, own) → value or its promise: decides a conflict; null
   *   keeps Core's value
   * @param calls by key and name, what the operator's functions will probably do
   * @param openStore () → where edits wait and documents are remembered, as IndexedStore
   * @param load () → the state of the orders as it was stored, or null
   * @param seen told ({state, orders, changes, status, leading}) of what is new of orders and status
   * @param transport, settings, clock, uniform, newClient as Client and Engine have them
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
    transport = new Transport(core, token),
    settings = {},
    clock = () => performance.now() / 1000,
    uniform = (low, high) => low + (high - low) * Math.random(),
    newClient = randomId,
  }) {
    // Nobody's edits may come into another's queue, not even for a moment.
    if (!subject) throw new TypeError("say whom the token names: subject");
    const api = new EditsApi(core);
    let client = null;
    this.#tab = new TabState({
      ...{ name, subject, resolvers, calls, openStore, newClient, api, transport, uniform, clock },
      channels: channels.filter(carriesDocuments),
      followed: channels,
      book: () => client?.book ?? null,
      settings: { ...SETTINGS, ...settings },
      coreTime: () => client.coreTime,
      differs: (channel) => client.differs(channel),
    });
    const documents = this.#tab;
    const changed = (news) => this.#tabs.tell(news);
    const lead = (saved) => {
      client = new Client({ channels, transport, saved, settings, changed, clock, uniform, documents });
      documents.lead().catch((error) => reportError(error));
      return client;
    };
    const told = (news) => {
      Object.assign(this, { orders: news.orders, status: news.status });
      documents.noteOrders();
      seen(news);
    };
    this.#tabs = new Shared({ name, lead, load, seen: told });
    this.#shown = new SeenSender((orders) => transport.seen(orders));
    this.commands = new OrderCommands({ tab: documents, orders: () => this.orders });
    this.state = stateOf(new SharedState({ tab: documents, api, transport }));
  }

  /** Follows from now on. */
  start() {
    this.#tabs.start();
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

  /** Leaves; another tab goes on. Edits that are not settled wait in the store. */
  async close() {
    this.#shown.stop();
    this.#tabs.close();
    await this.#tab.close();
  }
}

function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
