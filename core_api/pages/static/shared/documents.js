// What several share beside orders, for a page: the documents that a store's people and guests edit.

import { EditsApi } from "../yabam/state/edits_api.js";
import { IndexedStore } from "../yabam/state/indexed_store.js";
import { SharedState, stateOf } from "../yabam/state/shared_state.js";
import { TabState } from "../yabam/state/tab_state.js";
import { SETTINGS } from "../yabam/contract_lists.js";
import { newKey } from "./outbox.js";

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
export function documentsOf({ name, subject, channels, followed, transport, client, clock, uniform }) {
  const api = new EditsApi(transport.core);
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

/** Takes away what the browser keeps of a subject's edits. */
export function forgetEdits(subject) {
  try {
    indexedDB.deleteDatabase(`yabam ${subject}`);
  } catch {
    // A browser that forbids storage keeps nothing.
  }
}
