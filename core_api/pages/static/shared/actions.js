// The changes of orders that a person makes on a page. Each is shown at once and sent until Core answers. If Core
// refuses it, the page shows the order as before.
//
// Each action has its own idempotency key: if it is sent twice, Core does it once. It names the version of the order
// that the person saw: Core refuses it if the order has changed since. Unanswered actions are stored, and sent again
// after a reload. A step can be undone: once Core has answered the step, a step back is sent.

import { MAX_COMMAND_AGE_S } from "../yabam/contract/contract_lists.js";
import { newKey } from "./outbox.js";

/** The actions that Core has not answered yet, at most one per order. */
export class Actions {
  #pending = new Map();
  #outbox;
  #callbacks;
  #storage;
  #now;

  /**
   * @param outbox the Outbox that sends the actions
   * @param callbacks changed() after each change, answered(order) with the order of Core's answer,
   *   refused(action, answer) when an action is refused
   * @param storage keeps the actions over a reload: load() returns them as an array, save(actions) stores them
   * @param now () → the time in milliseconds since 1970
   */
  constructor({ outbox, callbacks, storage, now = Date.now }) {
    this.#outbox = outbox;
    this.#callbacks = callbacks;
    this.#storage = storage;
    this.#now = now;
  }

  /**
   * Sends the stored actions after a reload. One that was made more than a day ago is not sent; it is reported as
   * refused.
   */
  start() {
    const isLate = ({ at = this.#now() }) => this.#now() - at > MAX_COMMAND_AGE_S * 1000;
    const found = this.#storage.load();
    for (const action of found) if (!isLate(action)) this.#begin({ ...action, waits: null });
    this.#save();
    const late = { ok: false, status: 0, order: null, problem: "too-late", detail: "" };
    for (const action of found) if (isLate(action)) this.#callbacks.refused(action, late);
  }

  /**
   * Moves an order to another status. Does nothing while another action on this order is not answered.
   *
   * @param order the order as the person saw it
   * @param to the status that the order is to get
   * @param reason why, as text; null: no reason is given
   */
  add({ id, version, updated_at: updatedAt, status }, to, reason = null) {
    if (this.#pending.has(id)) return;
    const seen = { id, version, updatedAt, seen: status };
    this.#begin({ ...seen, key: newKey(), at: this.#now(), to, reason, waits: null });
    this.#save();
  }

  /**
   * Moves an order back to an earlier status. If the step that led away from `to` is not answered yet, the step back
   * is sent after that answer.
   *
   * @param order the order as the person saw it
   * @param to the status that the order is to get back
   */
  back({ id, version, updated_at: updatedAt, status }, to) {
    const action = this.#pending.get(id);
    if (action === undefined) {
      const seen = { id, version, updatedAt, seen: status };
      this.#begin({ ...seen, key: newKey(), at: this.#now(), to, reason: null, back: true, waits: null });
    } else if (!action.back && action.seen === to) {
      action.undone = true;
    }
    this.#save();
  }

  /**
   * Whether an action that gives the order this status is not answered yet.
   *
   * @param id the order's id
   * @param to the status
   * @returns true or false
   */
  isUnderWay(id, to) {
    return this.#pending.get(id)?.to === to;
  }

  /**
   * The order as it will be after its action.
   *
   * @param order the order as Core last reported it
   * @returns the order itself if it has no action. Otherwise a copy with the new `status` and `reason`, with
   *   `sending: true`, and with `waits`: what the action waits for ("network" or "token"), or null
   */
  shown(order) {
    const action = this.#pending.get(order.id);
    if (!action) return order;
    const { reason, waits, undone = false } = action;
    const to = undone ? action.seen : action.to;
    // Whether the order will still be open then is not known before Core's answer.
    return { ...order, status: to, open: undefined, reason, sending: true, waits };
  }

  /** Whether any action is not answered yet. */
  get pending() {
    return this.#pending.size > 0;
  }

  async #begin(action) {
    const { id, key, version, updatedAt, to, reason } = action;
    this.#pending.set(id, action);
    const path = `/v1/orders/${encodeURIComponent(id)}/${action.back ? "recalls" : "transitions"}`;
    const body = reason === null ? { to } : { to, reason };
    const answer = await this.#outbox.deliver(path, body, { key, version, updatedAt }, (waits) => {
      action.waits = waits;
      this.#callbacks.changed();
    });
    if (answer === null) return;
    if (this.#pending.get(id) === action) this.#pending.delete(id);
    this.#save();
    // If Core repeats an earlier answer to the same key, the order in it may be out of date.
    if (answer.order && !answer.repeated) this.#callbacks.answered(answer.order);
    if (!answer.ok) this.#callbacks.refused(action, answer);
    else if (action.undone) this.back(answer.order, action.seen);
    this.#callbacks.changed();
  }

  #save() {
    this.#storage.save([...this.#pending.values()]);
  }
}
