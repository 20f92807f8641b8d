// The data of the bindings as sources that can be read and subscribed to: {get, subscribe}. No framework.
//
// `get` returns the same object until its data has changed, so that a framework renders only then. Without
// subscribers a source computes its data at each `get`; with subscribers, only when the client notifies it.
// Without a client, as on a server, a source has the data of a page before anything is known.

import { nameOf } from "../state/entries.js";
import { get as partAt, parsePointer } from "../contract/state/pointer.js";
import { same } from "../contract/state/values.js";

/** @typedef {import("../yabam_client.js").YabamClient} YabamClient */
/** @typedef {import("../types.js").ShownOrder} ShownOrder */

/**
 * @template T
 * @typedef {object} Source
 * @property {() => T} get what is shown now
 * @property {T} initial what is shown before anything is known, and on a server
 * @property {(told: () => void) => () => void} subscribe calls it when `get` has something new; returns its end
 */

/**
 * @typedef {object} OrderFilter which orders; a missing field matches all
 * @property {string} [store] its id
 * @property {string} [table] its id
 * @property {string[]} [statuses]
 */

/**
 * @typedef {object} Connection
 * @property {import("../types.js").Mode} mode
 * @property {"sse" | "websocket" | null} via what carries the events while it is live
 * @property {number | null} certainAt all changes up to then are known; whole seconds, in milliseconds since 1970
 * @property {{kind: string, detail: string} | null} cause why it failed
 * @property {string | null} lastError the newest failure
 */

/**
 * @typedef {object} ShownDocument
 * @property {import("../types.js").JsonObject | null} value Core's, with the pending edits on top; null: there is none
 * @property {number} version Core's, below the pending edits
 * @property {number} pending how many edits Core's value does not contain yet
 * @property {boolean} loading nothing is known yet, or Core has a newer value than the one shown
 * @property {import("../types.js").Conflict | null} conflict
 * @property {import("../types.js").Refusal | null} error
 * @property {number} leftOut how many pending edits do not fit Core's value any more
 * @property {import("../shared_state/shared_state.js").SharedDocument | null} document to edit it by; null: there is no client
 */

/** @type {ShownOrder[]} */
const NO_ORDERS = [];
/** @type {Connection} */
const NO_CONNECTION = { mode: "starting", via: null, certainAt: null, cause: null, lastError: null };
/** @type {ShownDocument} */
const NO_DOCUMENT = {
  ...{ value: null, version: 0, pending: 0, loading: true },
  ...{ conflict: null, error: null, leftOut: 0, document: null },
};

/**
 * The open orders, as they are shown, oldest first: those of the filter.
 *
 * @param {YabamClient | null} client null: there is none, as on a server
 * @param {OrderFilter} [filter] without one: all
 * @returns {Source<ShownOrder[]>}
 */
export function ordersOf(client, filter = {}) {
  if (client === null) return unknown(NO_ORDERS);
  const look = () => client.commands.orders.filter(({ order }) => isIn(order, filter));
  return source(NO_ORDERS, look, (told) => client.commands.subscribe(told), keptById);
}

/**
 * One order; null: there is none, as far as is known.
 *
 * @param {YabamClient | null} client null: there is none, as on a server
 * @param {string} id the order's id
 * @returns {Source<ShownOrder | null>}
 */
export function orderOf(client, id) {
  if (client === null) return unknown(null);
  return source(null, () => client.commands.order(id), (told) => client.commands.subscribe(told));
}

/**
 * One document; notifies of any change of it.
 *
 * @param {YabamClient | null} client null: there is none, as on a server
 * @param {string} channel the full name of a followed channel, such as `party:12/5`
 * @param {string} key the document's key there
 * @returns {Source<ShownDocument>}
 * @throws {import("../contract/state/errors.js").StateError} the client does not follow the channel
 */
export function documentOf(client, channel, key) {
  if (client === null) return unknown(NO_DOCUMENT);
  const document = client.state(channel).get(key);
  const look = () => {
    const { value, version, pending, meta } = document;
    return { value, version, pending, ...meta, document };
  };
  return source(NO_DOCUMENT, look, (told) => document.subscribe(told));
}

/**
 * The part of a document at a JSON Pointer; undefined: there is nothing. Notifies only when that part has
 * changed.
 *
 * @param {YabamClient | null} client null: there is none, as on a server
 * @param {string} channel the full name of a followed channel, such as `party:12/5`
 * @param {string} key the document's key there
 * @param {string} path the JSON Pointer, such as `/lines`; empty: the whole value
 * @returns {Source<import("../types.js").Json | undefined>}
 * @throws {import("../contract/state/errors.js").StateError} the client does not follow the channel, or the path is
 *   no JSON Pointer
 */
export function partOf(client, channel, key, path) {
  const names = parsePointer(path);
  if (client === null) return unknown(undefined);
  const document = client.state(channel).get(key);
  return source(undefined, () => partAt(document.value ?? undefined, names), (told) => document.subscribe(told, path));
}

/**
 * How the client receives events.
 *
 * @param {YabamClient | null} client null: there is none, as on a server
 * @returns {Source<Connection>}
 */
export function connectionOf(client) {
  if (client === null) return unknown(NO_CONNECTION);
  const look = () => {
    if (client.status === null) return NO_CONNECTION;
    const { mode, via, certainAt, cause, lastError } = client.status;
    // In milliseconds it would change with each heartbeat, and differ between ways of computing it.
    return { mode, via, certainAt: certainAt && Math.floor(certainAt / 1000) * 1000, cause, lastError };
  };
  return source(NO_CONNECTION, look, (told) => client.subscribe(told));
}

/** @type {WeakMap<YabamClient, Map<string, Promise<void>>>} */
const loading = new WeakMap();

/**
 * Fulfilled once something is known of the document. Returns the same promise until it is fulfilled: a
 * framework discards a waiting component and calls this again.
 *
 * @param {YabamClient} client follows the channel
 * @param {string} channel the full name of the channel that carries it
 * @param {string} key the document's key there
 * @returns {Promise<void>}
 */
export function loaded(client, channel, key) {
  const waiting = loading.get(client) ?? new Map();
  loading.set(client, waiting);
  const name = nameOf(channel, key);
  if (!waiting.has(name)) waiting.set(name, known(client, channel, key).then(() => void waiting.delete(name)));
  return waiting.get(name);
}

/**
 * @param {YabamClient} client
 * @param {string} channel
 * @param {string} key
 */
function known(client, channel, key) {
  const document = client.state(channel).get(key);
  return /** @type {Promise<void>} */ (
    new Promise((resolve) => {
      const look = () => {
        if (document.meta.loading) return;
        end();
        resolve();
      };
      const end = document.subscribe(look);
      look();
    })
  );
}

/**
 * @template T
 * @param {T} initial
 * @returns {Source<T>}
 */
const unknown = (initial) => ({ initial, get: () => initial, subscribe: () => () => {} });

/**
 * @template T
 * @param {T} initial
 * @param {() => T} look what is shown now
 * @param {(told: () => void) => () => void} follow
 * @param {(shown: T, news: T) => T} [kept] the news, with unchanged parts taken from `shown`
 * @returns {Source<T>}
 */
function source(initial, look, follow, kept = keptWhole) {
  let shown = initial;
  const callbacks = new Set();
  let end = () => {};
  const isNews = () => {
    const before = shown;
    shown = kept(shown, look());
    return shown !== before;
  };
  const told = () => {
    if (isNews()) for (const { call } of [...callbacks]) call();
  };
  return {
    initial,
    get() {
      if (callbacks.size === 0) isNews();
      return shown;
    },
    subscribe(call) {
      const callback = { call };
      if (callbacks.size === 0) {
        isNews();
        end = follow(told);
      }
      callbacks.add(callback);
      return () => {
        if (callbacks.delete(callback) && callbacks.size === 0) end();
      };
    },
  };
}

/**
 * @template T
 * @param {T} shown
 * @param {T} news
 */
const keptWhole = (shown, news) => (same(shown, news) ? shown : news);

/**
 * @param {ShownOrder[]} shown
 * @param {ShownOrder[]} news
 */
function keptById(shown, news) {
  const before = new Map(shown.map((one) => [one.order.id, one]));
  const orders = news.map((one) => keptWhole(before.get(one.order.id) ?? one, one));
  const isSame = orders.length === shown.length && orders.every((one, index) => one === shown[index]);
  return isSame ? shown : orders;
}

/**
 * @param {import("../types.js").Order} order
 * @param {OrderFilter} filter
 */
function isIn(order, { store, table, statuses }) {
  if (store !== undefined && order.store_id !== store) return false;
  if (table !== undefined && order.table_id !== table) return false;
  return statuses === undefined || statuses.includes(order.status);
}
