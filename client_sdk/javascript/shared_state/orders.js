// What a program uses to place and step orders through the queue, with or without a network.
//
//     const [order] = client.commands.orders;
//     await client.commands.transition(order, "accepted");
//
// As client_sdk/shared_state/order_commands.py.

import { StateError, shown } from "../contract/state/errors.js";
import { newest, shownOrder, shownOrders } from "../state/orders/view.js";
import { copy } from "../contract/state/values.js";

/** @typedef {import("../types.js").Order} Order */
/** @typedef {import("../types.js").ShownOrder} ShownOrder */

/** A command that was made. */
export class CommandHandle {
  /** @type {Promise<import("../types.js").CommandOutcome>} */
  #outcome;

  /**
   * @param {string | null} orderId the id that its order is shown under; that of a new one changes when Core has it
   * @param {Promise<import("../types.js").CommandOutcome>} outcome
   */
  constructor(orderId, outcome) {
    this.orderId = orderId;
    this.#outcome = outcome;
  }

  /**
   * What became of it, once Core has answered.
   *
   * @returns {Promise<import("../types.js").CommandOutcome>}
   * @throws {ClosedError} the client was closed first; it is sent when that is opened again
   */
  settled() {
    return this.#outcome;
  }
}

/** The orders with what is done to them here. */
export class OrderCommands {
  /** @type {import("./tab_state.js").TabState} */
  #tab;
  /** @type {() => Order[]} */
  #core;

  /** @param {{tab: import("./tab_state.js").TabState, orders: () => Order[]}} parts `orders`: Core's open ones */
  constructor({ tab, orders }) {
    this.#tab = tab;
    this.#core = orders;
  }

  /**
   * The open orders as they are shown, each as order_view.js shownOrder says.
   *
   * @returns {ShownOrder[]}
   */
  get orders() {
    return shownOrders(this.#core(), this.#tab.own);
  }

  /**
   * One order as it is shown; null: there is none, as far as is known here.
   *
   * @param {string} id
   * @returns {ShownOrder | null}
   */
  order(id) {
    const { own } = this.#tab;
    const named = own.placed[id] ?? id;
    const core = newest(this.#core().filter((order) => order.id === named), own);
    return shownOrder(core.get(named) ?? null, named, own);
  }

  /**
   * Why the last command to an order was refused, also where it is not shown; or null.
   *
   * @param {string} id
   * @returns {import("../types.js").Refusal | null}
   */
  error(id) {
    const { errors, placed } = this.#tab.own;
    return errors[placed[id] ?? id] ?? null;
  }

  /**
   * How many commands Core has not answered.
   *
   * @returns {number}
   */
  get waiting() {
    return this.#tab.own.entries.length;
  }

  /**
   * Calls `callback` once for all that changes of orders at one moment; the answer ends it.
   *
   * @param {() => void} callback
   * @returns {() => void}
   */
  subscribe(callback) {
    return this.#tab.observeOrders(callback);
  }

  /**
   * Places an order. Like all commands it is kept, and shown, when this is done.
   *
   * @param {import("../types.js").NewOrder} order
   * @returns {Promise<CommandHandle>}
   * @throws {StateError} it is malformed or too large, or too many wait
   * @throws {StateStoreError} it cannot be kept
   * @throws {ClosedError} the client is closed
   */
  place(order) {
    return this.#make({ kind: "place", body: copy(order), order: null });
  }

  /**
   * Takes an order one step further: accepted, rejected, preparing, ready, served, paid or cancelled. It
   * throws as `place`.
   *
   * @param {ShownOrder | string} order as it was shown to who decides, or its id: as it is shown now. Core does it to
   *   that only; a step but "accepted" also after a change that left the status
   * @param {string} to
   * @param {string | null} [reason] why it is rejected or cancelled
   * @returns {Promise<CommandHandle>}
   */
  transition(order, to, reason = null) {
    return this.#step("transition", order, reason === null ? { to } : { to, reason });
  }

  /**
   * Replaces an order's items, its note, or both; otherwise as `transition`.
   *
   * @param {ShownOrder | string} order
   * @param {{items?: import("../types.js").NewOrder["items"], note?: string}} body
   * @returns {Promise<CommandHandle>}
   */
  change(order, body) {
    return this.#step("change", order, copy(body));
  }

  /**
   * @param {Exclude<import("../contract/contract_lists.js").CommandKind, "place">} kind
   * @param {ShownOrder | string} order
   * @param {any} body
   */
  async #step(kind, order, body) {
    const seen = typeof order === "string" ? this.order(order) : order;
    if (seen === null) throw new StateError(`${shown(order)} is no order that is shown here`);
    const { id, version, updated_at: updatedAt, status } = seen.order;
    return this.#make({ kind, body, order: id, version, updatedAt, status, after: seen.after });
  }

  /** @param {any} wish */
  async #make(wish) {
    const { id, outcome } = await this.#tab.command(wish);
    const made = this.#tab.own.entries.find((entry) => entry.id === id);
    return new CommandHandle(wish.order ?? made?.key ?? null, outcome);
  }
}
