"use client";
// React: hooks that render a component again only when the shown data has changed. React 19 or newer.
//
//     <YabamProvider client={client}><Board /></YabamProvider>
//     const orders = useOrders({ store: "1" });
//
// The client is created, started and closed outside of components, so that a component that is rendered twice,
// or discarded while it waits, opens no connection. On a server there is none: `client={null}`.

import { createContext, createElement, use, useContext, useEffect, useMemo, useRef, useSyncExternalStore } from "react";
import { connectionOf, documentOf, loaded, orderOf, ordersOf, partOf } from "../sources.js";

/** @typedef {import("../../yabam_client.js").YabamClient} YabamClient */

const Context = createContext(/** @type {YabamClient | null | undefined} */ (undefined));

/**
 * Gives a client to all components below it.
 *
 * @param {{client: YabamClient | null, children?: import("react").ReactNode}} props null: there is none, on a server
 */
export function YabamProvider({ client, children }) {
  return createElement(Context.Provider, { value: client }, children);
}

/**
 * The client, for edits and commands; null: there is none, on a server.
 *
 * @returns {YabamClient | null}
 * @throws {Error} there is no YabamProvider above the component
 */
export function useYabam() {
  const client = useContext(Context);
  if (client === undefined) throw new Error("put a <YabamProvider client={…}> above what uses Yabam's hooks");
  return client;
}

/**
 * The open orders as they are shown, oldest first. An order that has not changed is the same object, so a row
 * in `memo` is not rendered again.
 *
 * @param {import("../sources.js").OrderFilter} [filter] without one: all
 */
export function useOrders({ store, table, statuses } = {}) {
  const client = useYabam();
  // Compared as text: each rendering creates a new filter object.
  const named = statuses?.join();
  const make = () => ordersOf(client, { store, table, statuses: named?.split(",") });
  return useSource(useMemo(make, [client, store, table, named]));
}

/**
 * One order; null: there is none, as far as is known.
 *
 * @param {string} id the order's id
 */
export function useOrder(id) {
  const client = useYabam();
  return useSource(useMemo(() => orderOf(client, id), [client, id]));
}

/**
 * One document; renders again with any change of it.
 *
 * @param {string} channel the full name of a followed channel, such as `party:12/5`
 * @param {string} key the document's key there
 * @param {{suspend?: boolean}} [options] suspend: show the fallback of the <Suspense> above until something is
 *   known of it; on a server the component is rendered as before that
 * @throws {import("../../contract/state/errors.js").StateError} the client does not follow the channel
 */
export function useDocument(channel, key, { suspend = false } = {}) {
  const client = useYabam();
  const source = useMemo(() => documentOf(client, channel, key), [client, channel, key]);
  const shown = useSource(source);
  // After all other hooks: after the wait React renders again, possibly without waiting. A hook that it calls
  // for the first time then would be an error, and it would restart from the root.
  if (suspend && client !== null && typeof window !== "undefined" && source.get().loading) {
    use(loaded(client, channel, key));
  }
  return shown;
}

/**
 * The part of a document at a JSON Pointer; renders again when that part changes; undefined: there is nothing.
 *
 * @param {string} channel the full name of a followed channel, such as `party:12/5`
 * @param {string} key the document's key there
 * @param {string} path the JSON Pointer, such as `/lines`; empty: the whole value
 * @throws {import("../../contract/state/errors.js").StateError} the client does not follow the channel, or the path is none
 */
export function usePart(channel, key, path) {
  const client = useYabam();
  return useSource(useMemo(() => partOf(client, channel, key, path), [client, channel, key, path]));
}

/** How events are received: {mode, via, certainAt, cause, lastError}. */
export function useConnection() {
  const client = useYabam();
  return useSource(useMemo(() => connectionOf(client), [client]));
}

/**
 * Subscribes to the events of this name, from all parts of the page and the other tabs, while it is mounted.
 *
 * @param {string} name 1 to 64 of A-Z a-z 0-9 _ . -
 * @param {(detail: any, from: {own: boolean}) => void} handler the newest one is called
 */
export function usePageEvent(name, handler) {
  const client = useYabam();
  const newest = useRef(handler);
  useEffect(() => {
    newest.current = handler;
  });
  useEffect(() => client?.page.subscribe(name, (detail, from) => newest.current(detail, from)), [client, name]);
}

/**
 * @template T
 * @param {import("../sources.js").Source<T>} source
 * @returns {T}
 */
function useSource({ subscribe, get, initial }) {
  return useSyncExternalStore(subscribe, get, () => initial);
}
