// What the package gives; a page that loads single modules by their addresses needs none of this.

export { Client } from "./client.js";
export { ContractError } from "./contract.js";
export { OrderBook } from "./order_book.js";
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
} from "./state/errors.js";
export { subjectOf } from "./state/subject.js";
