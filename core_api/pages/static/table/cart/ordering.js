// Orders the cart: once, however many phones press at once, lose the network or are closed meanwhile.
//
// Core lets one phone take the lines out of the cart, under an id that is the order's Idempotency-Key. What
// was taken stands in the cart's document until the order is placed or refused, so the phone goes on
// after a reload, and another of the same code goes on for one that does not come back.

import { newKey } from "../../shared/outbox.js";
import { itemsOf, linesOf, sharesOf } from "./rules.js";

const HELP_AFTER_MS = 15_000;
const ID_LETTERS = 16;

/** The cart's way to the kitchen. */
export class Ordering {
  #parts;
  #mine;
  #tag;
  #busy = new Set();
  #helping = new Map();

  /**
   * @param parts has {cart, bill, outbox, place: {store_id, table_id}, currency: () → text, phone, subject,
   *   told: {changed(), placed(order), refused(answer)}}; `answer` null: another phone was first
   */
  constructor(parts) {
    this.#parts = parts;
    // Idempotency keys are one subject's, so only a phone with the same may go on with another's.
    this.#tag = tagOf(parts.subject);
    this.#mine = `${parts.phone}.`;
  }

  /** Whether an order of this phone is under way. */
  get isBusy() {
    return [...this.#busy, ...Object.keys(this.#taken)].some((id) => id.startsWith(this.#mine));
  }

  /** Orders these lines, as they are shown: a promise of whether they are ordered. */
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
      // It cannot be taken, or this tab has lost the answer; in that case `goOn` finds it in the cart.
    }
    this.#busy.delete(id);
    const isTaken = answer !== null && answer.outcome !== "refused";
    if (!isTaken) told.refused(null);
    const isPlaced = isTaken && (await this.#place(id));
    told.changed();
    return isPlaced;
  }

  /** The cart has changed, or a token was replaced: goes on with what was taken and is not placed. */
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
      // Told first: what is taken off the cart must stand among the orders by then.
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
    // On its own: a bill that takes no more must not keep the order in the cart.
    if (answer.ok) bill.merge({ shares: { [answer.order.id]: sharesOf(lines) } }).catch(reportError);
    await noted;
  }

  #begin(id) {
    this.#busy.add(id);
    this.#parts.told.changed();
  }
}

/** A short mark of a subject, the same on all its phones (FNV-1a). */
function tagOf(subject) {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(subject)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16).padStart(8, "0");
}
