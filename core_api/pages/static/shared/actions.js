// What somebody does to orders: shown at once, sent until Core answers, taken back if it refuses.
//
// Each action has a key of its own, so that one that was sent twice is done once. It names the
// version that was seen, so that nobody accepts what was changed under their hands. A reload goes
// on where it was. A step can be taken back: by a step back, once Core has answered the step.

import { MAX_COMMAND_AGE_S } from "../yabam/contract/contract_lists.js";
import { newKey } from "./outbox.js";

/** The actions that Core has not answered yet: one per order at most. */
export class Actions {
  #pending = new Map();
  #outbox;
  #told;
  #storage;
  #now;

  /**
   * @param outbox what sends them
   * @param told has {changed(), answered(order), refused(action, answer)}
   * @param storage has {load() → actions of before a reload, save(actions)}
   * @param now () → milliseconds since 1970
   */
  constructor({ outbox, told, storage, now = Date.now }) {
    this.#outbox = outbox;
    this.#told = told;
    this.#storage = storage;
    this.#now = now;
  }

  /** Sends what a reload left behind; what was pressed more than a day ago is not sent any more. */
  start() {
    const isLate = ({ at = this.#now() }) => this.#now() - at > MAX_COMMAND_AGE_S * 1000;
    const found = this.#storage.load();
    for (const action of found) if (!isLate(action)) this.#begin({ ...action, waits: null });
    this.#save();
    const late = { ok: false, status: 0, order: null, problem: "too-late", detail: "" };
    for (const action of found) if (isLate(action)) this.#told.refused(action, late);
  }

  /** Takes an order one step further; nothing while an action on it is not answered. */
  add({ id, version, updated_at: updatedAt, status }, to, reason = null) {
    if (this.#pending.has(id)) return;
    const seen = { id, version, updatedAt, seen: status };
    this.#begin({ ...seen, key: newKey(), at: this.#now(), to, reason, waits: null });
    this.#save();
  }

  /** Takes an order a step back; a step that Core has not answered yet is taken back when it has. */
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

  /** Whether a step to that status is not answered yet. */
  isUnderWay(id, to) {
    return this.#pending.get(id)?.to === to;
  }

  /**
   * The order as it will be; `sending` says that Core has not answered yet, `waits` for what it
   * waits: "network", "token" or null.
   */
  shown(order) {
    const action = this.#pending.get(order.id);
    if (!action) return order;
    const { reason, waits, undone = false } = action;
    const to = undone ? action.seen : action.to;
    // Whether it will be open then, Core has not said.
    return { ...order, status: to, open: undefined, reason, sending: true, waits };
  }

  /** Whether something is not answered yet. */
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
      this.#told.changed();
    });
    if (answer === null) return;
    if (this.#pending.get(id) === action) this.#pending.delete(id);
    this.#save();
    // A repeated answer tells how the order stood then.
    if (answer.order && !answer.repeated) this.#told.answered(answer.order);
    if (!answer.ok) this.#told.refused(action, answer);
    else if (action.undone) this.back(answer.order, action.seen);
    this.#told.changed();
  }

  #save() {
    this.#storage.save([...this.#pending.values()]);
  }
}
