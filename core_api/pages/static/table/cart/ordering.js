// Orders the cart exactly once, even if several phones press at once, lose the network or are closed meanwhile.
//
// Core lets one phone take the lines out of the cart, under an id that becomes the order's Idempotency-Key. The taken
// lines stay in the cart's document until the order is placed or refused. So the phone can continue after a reload.
// If it does not come back, another phone of the same subject can place the order.

import { newKey } from "../../shared/outbox.js";
import { itemsOf, linesOf, sharesOf } from "./predictions_and_sums.js";

const TAKE_OVER_AFTER_MS = 15_000;
const ID_LETTERS = 16;

/** Places the orders of a cart. */
export class Ordering {
  #parts;
  #ownPrefix;
  #subjectTag;
  #busy = new Set();
  #takeovers = new Map();

  /**
   * @param parts an object with
   *   cart, bill  the documents
   *   outbox      the Outbox
   *   place       where the orders go: {store_id, table_id}
   *   currency    () → its ISO 4217 code
   *   phone       this phone's id
   *   subject     the subject of the guest's token
   *   callbacks   changed(), placed(order), refused(answer); `answer` is null if another phone was first
   */
  constructor(parts) {
    this.#parts = parts;
    // An idempotency key belongs to one subject, so only a phone of the same subject can continue another's order.
    this.#subjectTag = tagOf(parts.subject);
    this.#ownPrefix = `${parts.phone}.`;
  }

  /** Whether this phone is placing an order. */
  get isBusy() {
    return [...this.#busy, ...Object.keys(this.#taken)].some((id) => id.startsWith(this.#ownPrefix));
  }

  /**
   * Orders lines of the cart.
   *
   * @param lines as they are shown, as linesOf returns them
   * @param order `by`: the guest's name; `note`: the note for the whole order
   * @returns a promise of whether they are ordered
   */
  async order(lines, { by, note }) {
    const id = `${this.#ownPrefix}${this.#subjectTag}.${newKey().slice(0, ID_LETTERS)}`;
    const { cart, callbacks } = this.#parts;
    const seen = Object.fromEntries(lines.map((line) => [line.id, line.quantity]));
    this.#begin(id);
    let answer = null;
    try {
      const taken = await cart.call("take", { id, by, note, lines: seen });
      answer = await taken.settled();
    } catch {
      // Core did not let this phone take the lines, or this tab has lost the answer; then `resume` finds them in the
      // cart.
    }
    this.#busy.delete(id);
    const isTaken = answer !== null && answer.outcome !== "refused";
    if (!isTaken) callbacks.refused(null);
    const isPlaced = isTaken && (await this.#place(id));
    callbacks.changed();
    return isPlaced;
  }

  /**
   * Continues the orders that were taken and not placed. Called when the cart has changed or the token was replaced.
   */
  resume() {
    const { cart } = this.#parts;
    for (const [id, timer] of this.#takeovers) {
      if (id in this.#taken) continue;
      clearTimeout(timer);
      this.#takeovers.delete(id);
    }
    if (cart.pending > 0 || cart.meta.loading) return;
    for (const id of Object.keys(this.#taken)) {
      if (this.#busy.has(id) || this.#takeovers.has(id)) continue;
      if (id.startsWith(this.#ownPrefix)) this.#place(id).catch(reportError);
      else if (id.split(".")[1] === this.#subjectTag) {
        this.#takeovers.set(id, setTimeout(() => this.#takeOver(id), TAKE_OVER_AFTER_MS));
      }
    }
  }

  get #taken() {
    return this.#parts.cart.value?.orders ?? {};
  }

  #takeOver(id) {
    this.#takeovers.delete(id);
    if (id in this.#taken) this.#place(id).catch(reportError);
  }

  async #place(id) {
    const entry = this.#taken[id];
    if (entry === undefined || this.#busy.has(id)) return false;
    const { outbox, place, currency, callbacks } = this.#parts;
    const lines = linesOf(entry);
    const body = { ...place, currency: currency(), items: itemsOf(lines), note: entry.note ?? "" };
    this.#begin(id);
    try {
      const answer = await outbox.deliver("/v1/orders", body, { key: id }, () => callbacks.changed());
      if (answer === null) return false;
      // First the order is reported: it must be shown before its lines leave the cart.
      if (answer.ok) callbacks.placed(answer.order);
      else callbacks.refused(answer);
      await this.#finish(id, answer, lines);
      return answer.ok;
    } finally {
      this.#busy.delete(id);
      callbacks.changed();
    }
  }

  async #finish(id, answer, lines) {
    const { cart, bill } = this.#parts;
    const noted = cart.call(answer.ok ? "placed" : "give-back", { id });
    // Not awaited: if the edit of the bill fails, the order must still leave the cart.
    if (answer.ok) bill.merge({ shares: { [answer.order.id]: sharesOf(lines) } }).catch(reportError);
    await noted;
  }

  #begin(id) {
    this.#busy.add(id);
    this.#parts.callbacks.changed();
  }
}

/** A short hash of a subject (FNV-1a), which is the same on all its phones. */
function tagOf(subject) {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(subject)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, "0");
}
