// Placing and changing orders through the queue, with or without a network.
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

/** A command that was queued. */
export class CommandHandle {
  /** @type {Promise<import("../types.js").CommandOutcome>} */
  #outcome;

  /**
   * @param {string | null} orderId the id that its order is shown under; a new order's id changes when Core has it
   * @param {Promise<import("../types.js").CommandOutcome>} outcome brings Core's answer
   */
  constructor(orderId, outcome) {
    this.orderId = orderId;
    this.#outcome = outcome;
  }

  /**
   * Waits for Core's answer and returns the outcome.
   *
   * @returns {Promise<import("../types.js").CommandOutcome>}
   * @throws {ClosedError} the client was closed first; the command is sent when it is opened again
   */
  settled() {
    return this.#outcome;
  }
}

/** Orders with this client's pending commands. */
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
   * The open orders as they are shown, each in the form of orders/view.js `shownOrder`.
   *
   * @returns {ShownOrder[]}
   */
  get orders() {
    return shownOrders(this.#core(), this.#tab.own);
  }

  /**
   * One order as it is shown; null: this client knows no such order.
   *
   * @param {string} id the order's, or the one it was shown under before Core had it
   * @returns {ShownOrder | null}
   */
  order(id) {
    const { own } = this.#tab;
    const named = own.placed[id] ?? id;
    const core = newest(this.#core().filter((order) => order.id === named), own);
    return shownOrder(core.get(named) ?? null, named, own);
  }

  /**
   * Why the last command for an order was refused, even if the order is not shown; or null.
   *
   * @param {string} id the order's, or the one it was shown under before Core had it
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
   * Calls `callback` once per batch of changes of orders. Returns the unsubscriber.
   *
   * @param {() => void} callback reads `orders` or `order` to see what has changed
   * @returns {() => void}
   */
  subscribe(callback) {
    return this.#tab.observeOrders(callback);
  }

  /**
   * Places an order. Like all commands it is stored and shown when the promise is fulfilled.
   *
   * @param {import("../types.js").NewOrder} order its store, items and currency, and what else is known of it
   * @returns {Promise<CommandHandle>}
   * @throws {StateError} it is malformed or too large, or too many commands wait
   * @throws {StateStoreError} it cannot be stored
   * @throws {ClosedError} the client is closed
   */
  place(order) {
    return this.#make({ kind: "place", body: copy(order), order: null });
  }

  /**
   * Moves an order to another status.
   *
   * @param {ShownOrder | string} order the order as the user saw it, or its id for the order as shown now. Core
   *   refuses if it has changed; except for "accepted", only if its status has changed
   * @param {string} to accepted, rejected, preparing, ready, served, paid or cancelled
   * @param {string | null} [reason] why it is rejected or cancelled; null: no reason is given
   * @returns {Promise<CommandHandle>}
   * @throws {StateError} this client does not show the order, the command is malformed, too many wait, or the command
   *   that it depends on was refused
   * @throws {StateStoreError} it cannot be stored
   * @throws {ClosedError} the client is closed
   */
  transition(order, to, reason = null) {
    return this.#step("transition", order, reason === null ? { to } : { to, reason });
  }

  /**
   * Replaces an order's items, its note, or both. It throws as `transition`.
   *
   * @param {ShownOrder | string} order the order as the user saw it, or its id for the order as shown now. Core
   *   refuses if it has changed
   * @param {{items?: import("../types.js").NewOrder["items"], note?: string}} body all items of the order from now on,
   *   the new note, or both; what is missing stays
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
    if (seen === null) throw new StateError(`${shown(order)} is not an order that this client shows`);
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
