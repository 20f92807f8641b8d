// Vue: composables that return refs, which change only when their data has changed. Vue 3.3 or newer.
//
//     createApp(Board).use(yabam(client)).mount("#app");
//     const orders = useOrders({ store: "1" });
//
// Their arguments may be refs or getters. On a server there is no client: `yabam(null)`.

import {
  getCurrentInstance,
  getCurrentScope,
  inject,
  onMounted,
  onScopeDispose,
  shallowReadonly,
  shallowRef,
  toValue,
  watchEffect,
} from "vue";
import { connectionOf, documentOf, orderOf, ordersOf, partOf } from "../sources.js";

/** @typedef {import("../../yabam_client.js").YabamClient} YabamClient */
/**
 * @template T
 * @typedef {import("vue").MaybeRefOrGetter<T>} Given
 */
/**
 * @template T
 * @typedef {Readonly<import("vue").ShallowRef<T>>} Shown
 */

/** @type {import("vue").InjectionKey<YabamClient | null>} */
const KEY = Symbol("yabam");

/**
 * Gives a client to all components of an application.
 *
 * @param {YabamClient | null} client null: there is none, on a server
 * @returns {import("vue").Plugin<[]>}
 */
export const yabam = (client) => ({ install: (app) => void app.provide(KEY, client) });

/**
 * The client, for edits and commands; null: there is none, on a server.
 *
 * @returns {YabamClient | null}
 * @throws {Error} the application does not use the plugin
 */
export function useYabam() {
  const client = inject(KEY, undefined);
  if (client === undefined) throw new Error("Yabam is not installed in this application: call app.use(yabam(client))");
  return client;
}

/**
 * The open orders as they are shown, oldest first. One that has not changed is the same object.
 *
 * @param {Given<import("../sources.js").OrderFilter>} [filter] without one: all
 */
export const useOrders = (filter = {}) => followed((client) => ordersOf(client, toValue(filter)));

/**
 * One order; null: there is none, as far as is known.
 *
 * @param {Given<string>} id the order's id
 */
export const useOrder = (id) => followed((client) => orderOf(client, toValue(id)));

/**
 * One document, with any change of it.
 *
 * @param {Given<string>} channel the full name of a followed channel, such as `party:12/5`
 * @param {Given<string>} key the document's key there
 * @throws {import("../../contract/state/errors.js").StateError} the client does not follow the channel
 */
export const useDocument = (channel, key) =>
  followed((client) => documentOf(client, toValue(channel), toValue(key)));

/**
 * The part of a document at a JSON Pointer; undefined: there is nothing.
 *
 * @param {Given<string>} channel the full name of a followed channel, such as `party:12/5`
 * @param {Given<string>} key the document's key there
 * @param {Given<string>} path the JSON Pointer, such as `/lines`; empty: the whole value
 * @throws {import("../../contract/state/errors.js").StateError} the client does not follow the channel, or the path is none
 */
export const usePart = (channel, key, path) =>
  followed((client) => partOf(client, toValue(channel), toValue(key), toValue(path)));

/** How events are received: {mode, via, certainAt, cause, lastError}. */
export const useConnection = () => followed((client) => connectionOf(client));

/**
 * Subscribes to the events of this name, from all parts of the page and the other tabs, for as long as the
 * component or the scope lives.
 *
 * @param {string} name 1 to 64 of A-Z a-z 0-9 _ . -
 * @param {(detail: any, from: {own: boolean}) => void} handler `own`: it was published in this tab
 * @throws {TypeError} the name is malformed
 */
export function usePageEvent(name, handler) {
  const end = useYabam()?.page.subscribe(name, handler);
  if (end && getCurrentScope()) onScopeDispose(end);
}

/**
 * @template T
 * @param {(client: YabamClient | null) => import("../sources.js").Source<T>} make
 * @returns {Shown<T>}
 */
function followed(make) {
  const client = useYabam();
  const shown = shallowRef(make(null).initial);
  const follow = () =>
    watchEffect((onCleanup) => {
      const source = make(client);
      const look = () => {
        shown.value = source.get();
      };
      onCleanup(source.subscribe(look));
      look();
    });
  // The first rendering must equal the server's; only afterwards the client's current data is used.
  if (getCurrentInstance()?.vnode.el) onMounted(follow);
  else follow();
  // Not `readonly`: its proxies cannot access private fields.
  return /** @type {Shown<T>} */ (shallowReadonly(shown));
}
