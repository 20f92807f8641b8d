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
 * @param {YabamClient | null} client
 * @param {import("../sources.js").OrderFilter} [filter]
 */
export const orders = (client, filter = {}) => readable(ordersOf(client, filter));

/**
 * One order; null: there is none, as far as is known.
 *
 * @param {YabamClient | null} client
 * @param {string} id
 */
export const order = (client, id) => readable(orderOf(client, id));

/**
 * One document, with any change of it. It throws if the client does not follow the channel.
 *
 * @param {YabamClient | null} client
 * @param {string} channel
 * @param {string} key
 */
export const document = (client, channel, key) => readable(documentOf(client, channel, key));

/**
 * The part of a document at a JSON Pointer; undefined: there is nothing. It throws as `document`.
 *
 * @param {YabamClient | null} client
 * @param {string} channel
 * @param {string} key
 * @param {string} path
 */
export const part = (client, channel, key, path) => readable(partOf(client, channel, key, path));

/**
 * How events are received: {mode, via, certainAt, cause, lastError}.
 *
 * @param {YabamClient | null} client
 */
export const connection = (client) => readable(connectionOf(client));

/**
 * The detail of the last event of this name, from all parts of the page and the other tabs, while there is a
 * subscriber; before the first event `initial`.
 *
 * @template T
 * @param {YabamClient | null} client
 * @param {string} name
 * @param {T} initial
 * @returns {Readable<T>}
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
