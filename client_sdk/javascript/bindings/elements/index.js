// Elements for pages without a framework, and for every framework that knows HTML:
//
//     <yabam-connection></yabam-connection>
//     <yabam-orders store="1"></yabam-orders>
//     <yabam-document channel="public:1" key="waiting-time" path="/value"></yabam-document>
//
//     connect(client);
//
// They render into themselves, so the page's style sheet applies; always text, never markup. The row of an
// unchanged order is not touched.

import { connectionOf, ordersOf, partOf } from "../sources.js";
import { Rows, setText } from "./rows.js";

/** @typedef {import("../../yabam_client.js").YabamClient} YabamClient */

// A server has no elements; what is imported there must not fail.
const Base = /** @type {typeof HTMLElement} */ (globalThis.HTMLElement ?? class {});

let client = /** @type {YabamClient | null} */ (null);
const elements = /** @type {Set<YabamElement<any>>} */ (new Set());

/**
 * Gives the client to all of these elements of the page, including ones added later.
 *
 * @param {YabamClient | null} given null: none from now on
 */
export function connect(given) {
  client = given;
  for (const element of elements) element.follow();
}

/**
 * The base of the elements: follows a source while the element is in the page.
 *
 * @template T
 */
class YabamElement extends Base {
  #end = () => {};

  connectedCallback() {
    elements.add(this);
    this.follow();
  }

  disconnectedCallback() {
    elements.delete(this);
    this.#end();
  }

  attributeChangedCallback() {
    if (elements.has(this)) this.follow();
  }

  /** Follows the source that the attributes name from now on. */
  follow() {
    this.#end();
    this.#end = () => {};
    const source = this.source(client);
    const look = () => {
      const shown = source.get();
      this.draw(shown);
      this.dispatchEvent(new CustomEvent("yabam-change", { detail: shown, bubbles: true }));
    };
    this.#end = source.subscribe(look);
    look();
  }

  /**
   * @param {YabamClient | null} _client
   * @returns {import("../sources.js").Source<T>}
   */
  source(_client) {
    throw new Error("a subclass must implement source()");
  }

  /** @param {T} _shown */
  draw(_shown) {}
}

/**
 * The open orders, a row each. Attributes `store`, `table` and `statuses` (words) say which. A <template> within
 * says how a row looks: the text of `data-text="order.note"` is what stands there in {order, pending, error}. A row
 * has `data-order` (its id), `data-status` and, while something is on its way, `data-pending`.
 *
 * @extends {YabamElement<import("../../types.js").ShownOrder[]>}
 */
export class YabamOrders extends YabamElement {
  static observedAttributes = ["store", "table", "statuses"];
  #rows = /** @type {Rows | null} */ (null);

  /** @param {YabamClient | null} given */
  source(given) {
    const [store, table, statuses] = YabamOrders.observedAttributes.map((name) => this.getAttribute(name) ?? undefined);
    return ordersOf(given, { store, table, statuses: statuses?.split(/\s+/).filter(Boolean) });
  }

  /** @param {import("../../types.js").ShownOrder[]} shown */
  draw(shown) {
    this.#rows ??= new Rows(this);
    this.#rows.draw(shown);
  }
}

/**
 * One part of a document as text. Attributes `channel`, `key` and `path` (a JSON Pointer; without one the whole).
 *
 * @extends {YabamElement<import("../../types.js").Json | undefined>}
 */
export class YabamDocument extends YabamElement {
  static observedAttributes = ["channel", "key", "path"];

  /** @param {YabamClient | null} given */
  source(given) {
    const [channel, key, path] = YabamDocument.observedAttributes.map((name) => this.getAttribute(name) ?? "");
    return partOf(channel && key ? given : null, channel, key, path);
  }

  /** @param {import("../../types.js").Json | undefined} shown */
  draw(shown) {
    const text = typeof shown === "object" && shown !== null ? JSON.stringify(shown) : `${shown ?? ""}`;
    setText(this, text);
  }
}

/**
 * How events are received, as text and as `data-mode`. An attribute named for a mode says another text for it:
 * `<yabam-connection live="연결됨">`.
 *
 * @extends {YabamElement<import("../sources.js").Connection>}
 */
export class YabamConnection extends YabamElement {
  connectedCallback() {
    if (!this.hasAttribute("role")) this.setAttribute("role", "status");
    super.connectedCallback();
  }

  /** @param {YabamClient | null} given */
  source(given) {
    return connectionOf(given);
  }

  /** @param {import("../sources.js").Connection} shown */
  draw({ mode }) {
    const text = this.getAttribute(mode) ?? mode;
    this.dataset.mode = mode;
    setText(this, text);
  }
}

const ELEMENTS = { "yabam-orders": YabamOrders, "yabam-document": YabamDocument, "yabam-connection": YabamConnection };
for (const [name, element] of Object.entries(ELEMENTS)) {
  // A page may load two copies of this module.
  if (globalThis.customElements && !customElements.get(name)) customElements.define(name, element);
}
