// The package's exports; a page that loads single modules by their URLs does not need this.

export { Client } from "./client.js";
export { ContractError } from "./contract/contract.js";
export { OrderBook } from "./client/order_book.js";
export { PageEvents } from "./page_events.js";
export { Shared } from "./tabs.js";
export { Transport } from "./transport.js";
export { YabamClient } from "./yabam_client.js";
export { connectionOf, documentOf, orderOf, ordersOf, partOf } from "./bindings/sources.js";
export { IndexedStore } from "./state/indexed_store.js";
export { MemoryStore } from "./state/memory_store.js";
export {
  ClosedError,
  OperationError,
  PatchError,
  PointerError,
  StateError,
  StateStoreError,
  StateValueError,
} from "./contract/state/errors.js";
export { subjectOf } from "./state/subject.js";

/** @typedef {import("./yabam_client.js").YabamOptions} YabamOptions */
/** @typedef {import("./client.js").ClientOptions} ClientOptions */
/** @typedef {import("./shared_state/shared_state.js").SharedDocument} SharedDocument */
/** @typedef {import("./shared_state/edit_batch.js").EditHandle} EditHandle */
/** @typedef {import("./shared_state/orders.js").CommandHandle} CommandHandle */
/** @typedef {import("./bindings/sources.js").Connection} Connection */
/** @typedef {import("./bindings/sources.js").OrderFilter} OrderFilter */
/** @typedef {import("./bindings/sources.js").ShownDocument} ShownDocument */
