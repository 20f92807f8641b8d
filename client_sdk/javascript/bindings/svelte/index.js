// Svelte: readable stores that notify only when their data has changed. For any version of Svelte, and other
// users of its store contract; nothing is imported.
//
//     const open = orders(client, { store: "1" });
//     const rows = $derived($open);
//     {#each rows as shown (shown.order.id)}…{/each}
//
// On a server there is no client: pass null.

import { connectionOf, documentOf, orderOf, ordersOf, partOf } from "../sources.js";

/** @typedef {import("../../yabam_client.js").YabamClient} YabamClient */
/**
 * @template T
 * @typedef {{subscribe: (run: (shown: T) => void) => () => void}} Readable
 */

/**
 * The open orders as they are shown, oldest first. One that has not changed is the same object.
 *
 * @param {YabamClient | null} client null: there is none, as on a server
 * @param {import("../sources.js").OrderFilter} [filter] without one: all
 */
export const orders = (client, filter = {}) => readable(ordersOf(client, filter));

/**
 * One order; null: there is none, as far as is known.
 *
 * @param {YabamClient | null} client null: there is none, as on a server
 * @param {string} id the order's id
 */
export const order = (client, id) => readable(orderOf(client, id));

/**
 * One document, with any change of it.
 *
 * @param {YabamClient | null} client null: there is none, as on a server
 * @param {string} channel the full name of a followed channel, such as `party:12/5`
 * @param {string} key the document's key there
 * @throws {import("../../contract/state/errors.js").StateError} the client does not follow the channel
 */
export const document = (client, channel, key) => readable(documentOf(client, channel, key));

/**
 * The part of a document at a JSON Pointer; undefined: there is nothing.
 *
 * @param {YabamClient | null} client null: there is none, as on a server
 * @param {string} channel the full name of a followed channel, such as `party:12/5`
 * @param {string} key the document's key there
 * @param {string} path the JSON Pointer, such as `/lines`; empty: the whole value
 * @throws {import("../../contract/state/errors.js").StateError} the client does not follow the channel, or the path is none
 */
export const part = (client, channel, key, path) => readable(partOf(client, channel, key, path));

/**
 * How events are received: {mode, via, certainAt, cause, lastError}.
 *
 * @param {YabamClient | null} client null: there is none, as on a server
 */
export const connection = (client) => readable(connectionOf(client));

/**
 * The detail of the last event of this name, from all parts of the page and the other tabs, while there is a
 * subscriber; before the first event `initial`.
 *
 * @template T
 * @param {YabamClient | null} client null: there is none, as on a server
 * @param {string} name 1 to 64 of A-Z a-z 0-9 _ . -
 * @param {T} initial what is shown before the first event
 * @returns {Readable<T>} its `subscribe` throws a TypeError if the name is malformed
 */
export const pageEvent = (client, name, initial) => ({
  subscribe(run) {
    run(initial);
    return client?.page.subscribe(name, (detail) => run(detail)) ?? (() => {});
  },
});

/**
 * @template T
 * @param {import("../sources.js").Source<T>} source
 * @returns {Readable<T>}
 */
const readable = (source) => ({
  subscribe(run) {
    const end = source.subscribe(() => run(source.get()));
    run(source.get());
    return end;
  },
});
