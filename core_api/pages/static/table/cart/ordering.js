// Orders the cart exactly once, even if several phones press at once, lose the network or are closed meanwhile.
//
// Core lets one phone take the lines out of the cart, under an id that becomes the order's Idempotency-Key. The taken
// lines stay in the cart's document until the order is placed or refused. So the phone can continue after a reload.
// If it does not come back, another phone of the same subject can place the order.

import { newKey } from "../../shared/outbox.js";
import { itemsOf, linesOf, sharesOf } from "./predictions_and_sums.js";

const HELP_AFTER_MS = 15_000;
const ID_LETTERS = 16;

/** Places the orders of a cart. */
export class Ordering {
  #parts;
  #mine;
  #tag;
  #busy = new Set();
  #helping = new Map();

  /**
   * @param parts an object with
   *   cart, bill  the documents
   *   outbox      the Outbox
   *   place       where the orders go: {store_id, table_id}
   *   currency    () → its ISO 4217 code
   *   phone       this phone's id
   *   subject     the subject of the guest's token
   *   told        callbacks: changed(), placed(order), refused(answer); `answer` is null if another phone was first
   */
  constructor(parts) {
    this.#parts = parts;
    // An idempotency key belongs to one subject, so only a phone of the same subject can continue another's order.
    this.#tag = tagOf(parts.subject);
    this.#mine = `${parts.phone}.`;
  }

  /** Whether this phone is placing an order. */
  get isBusy() {
    return [...this.#busy, ...Object.keys(this.#taken)].some((id) => id.startsWith(this.#mine));
  }

  /**
   * Orders lines of the cart.
   *
   * @param lines as they are shown, as linesOf returns them
   * @param order `by`: the guest's name; `note`: the note for the whole order
   * @returns a promise of whether they are ordered
   */
  async order(lines, { by, note }) {
    const id = `${this.#mine}${this.#tag}.${newKey().slice(0, ID_LETTERS)}`;
    const { cart, told } = this.#parts;
    const seen = Object.fromEntries(lines.map((line) => [line.id, line.quantity]));
    this.#begin(id);
    let answer = null;
    try {
      const taken = await cart.call("take", { id, by, note, lines: seen });
      answer = await taken.settled();
    } catch {
      // Core did not let this phone take the lines, or this tab has lost the answer; then `goOn` finds them in the
      // cart.
    }
    this.#busy.delete(id);
    const isTaken = answer !== null && answer.outcome !== "refused";
    if (!isTaken) told.refused(null);
    const isPlaced = isTaken && (await this.#place(id));
    told.changed();
    return isPlaced;
  }

  /**
   * Continues the orders that were taken and not placed. Called when the cart has changed or the token was replaced.
   */
  goOn() {
    const { cart } = this.#parts;
    for (const [id, timer] of this.#helping) {
      if (id in this.#taken) continue;
      clearTimeout(timer);
      this.#helping.delete(id);
    }
    if (cart.pending > 0 || cart.meta.loading) return;
    for (const id of Object.keys(this.#taken)) {
      if (this.#busy.has(id) || this.#helping.has(id)) continue;
      if (id.startsWith(this.#mine)) this.#place(id).catch(reportError);
      else if (id.split(".")[1] === this.#tag) {
        this.#helping.set(id, setTimeout(() => this.#help(id), HELP_AFTER_MS));
      }
    }
  }

  get #taken() {
    return this.#parts.cart.value?.orders ?? {};
  }

  #help(id) {
    this.#helping.delete(id);
    if (id in this.#taken) this.#place(id).catch(reportError);
  }

  async #place(id) {
    const entry = this.#taken[id];
    if (entry === undefined || this.#busy.has(id)) return false;
    const { outbox, place, currency, told } = this.#parts;
    const lines = linesOf(entry);
    const body = { ...place, currency: currency(), items: itemsOf(lines), note: entry.note ?? "" };
    this.#begin(id);
    try {
      const answer = await outbox.deliver("/v1/orders", body, { key: id }, () => told.changed());
      if (answer === null) return false;
      // First the order is reported: it must be shown before its lines leave the cart.
      if (answer.ok) told.placed(answer.order);
      else told.refused(answer);
      await this.#note(id, answer, lines);
      return answer.ok;
    } finally {
      this.#busy.delete(id);
      told.changed();
    }
  }

  async #note(id, answer, lines) {
    const { cart, bill } = this.#parts;
    const noted = cart.call(answer.ok ? "placed" : "give-back", { id });
    // Not awaited: if the edit of the bill fails, the order must still leave the cart.
    if (answer.ok) bill.merge({ shares: { [answer.order.id]: sharesOf(lines) } }).catch(reportError);
    await noted;
  }

  #begin(id) {
    this.#busy.add(id);
    this.#parts.told.changed();
  }
}

/** A short hash of a subject (FNV-1a), which is the same on all its phones. */
function tagOf(subject) {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(subject)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, "0");
}
