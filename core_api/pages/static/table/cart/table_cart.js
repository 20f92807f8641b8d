// One cart for all phones at the table: each press becomes an edit of the document `cart`.

import { t } from "../../shared/language.js";
import { ask } from "../ask.js";
import { Cart } from "./view.js";
import { MAX_OF_A_DISH, linesOf, nameOf } from "./predictions_and_sums.js";
import { guestName, phoneId } from "./guest.js";
import { Ordering } from "./ordering.js";

const MAX_NOTE = 200;

/** Changes the cart as the guest presses, and shows it in the cart's sheet and in the menu. */
export class TableCart {
  /** The menu's currency; set when the menu is loaded. */
  currency = null;
  #cart;
  #view;
  #ordering;
  #callbacks;
  #phone = phoneId();
  #lines = [];
  // Edits are made one after the other: each starts from the result of the one before.
  #last = Promise.resolve();

  /**
   * @param table the table, as followTable returns it
   * @param session the guest's, as readToken returns it
   * @param outbox the Outbox
   * @param callbacks as Ordering takes them
   */
  constructor({ table, session, outbox, callbacks }) {
    const [store_id, table_id] = session.table.split("/");
    this.#cart = table.cart;
    this.#callbacks = callbacks;
    this.#view = new Cart({
      step: (line, by) => this.#edit(() => this.#stepLine(line.id, by)),
      note: (line, dish) => this.#note(line, dish),
      order: () => this.#order(),
    });
    this.#ordering = new Ordering({
      ...{ cart: table.cart, bill: table.bill, outbox, phone: this.#phone, subject: session.subject },
      place: { store_id, table_id },
      currency: () => this.currency,
      callbacks,
    });
  }

  /** Whether an order of this phone is under way. */
  get isBusy() {
    return this.#ordering.isBusy;
  }

  /**
   * Adds one of a dish to the cart, or removes one.
   *
   * @param dish of the menu
   * @param by 1 or -1
   */
  step(dish, by) {
    this.#edit(() => {
      const own = linesOf(this.#cart.value).filter(
        (line) => line.dish === dish.id && line.phone === this.#phone,
      );
      // A note is for the dishes that are on its line already; one more goes on a line without a note.
      const line = by < 0 ? own.at(-1) : own.find(({ note, quantity }) => note === "" && quantity < MAX_OF_A_DISH);
      return line ? this.#stepLine(line.id, by) : this.#add(dish, own);
    });
  }

  /**
   * Shows the cart in its sheet and in the menu, and continues orders that were not completed.
   *
   * @param menu the Menu
   * @param shop as shopOf returns it
   * @param state `refused`: whether Core refuses the token; `mode`: how the page receives events
   */
  show(menu, shop, { refused, mode }) {
    this.#lines = linesOf(this.#cart.value);
    const isSoldOut = (line) => {
      const dish = menu.dishes.get(line.dish);
      return shop.isSoldOut(line.dish, [line.name, ...(dish?.name ?? [])]);
    };
    const waits = refused ? "orderWaitsForToken" : mode === "offline" ? "orderRetrying" : "orderSending";
    menu.show(this.#lines, this.#phone, shop);
    this.#view.show({
      ...{ lines: this.#lines, currency: menu.currency, isSoldOut },
      nameOf: (line) => menu.nameOf(line),
      busy: this.isBusy ? t(waits) : null,
      refused: shop.isTaking ? null : t("notTaking"),
    });
    if (!refused) this.#ordering.resume();
  }

  #add(dish, own) {
    const used = new Set(own.map(({ id }) => id));
    let n = 0;
    while (used.has(`${this.#phone}.${dish.id}.${n}`)) n += 1;
    const line = { name: nameOf(dish), quantity: 1, unit_price: dish.price, by: guestName() };
    return this.#cart.merge({ lines: { [`${this.#phone}.${dish.id}.${n}`]: line } });
  }

  #stepLine(id, by) {
    const line = this.#cart.value?.lines[id];
    if (line === undefined) return null;
    const quantity = Math.min(line.quantity + by, MAX_OF_A_DISH);
    return this.#cart.merge({ lines: { [id]: quantity > 0 ? { quantity } : null } });
  }

  async #note(line, dish) {
    const field = { label: t("dishNote"), value: line.note, limit: MAX_NOTE };
    const choices = [{ value: "ok", text: t("save"), kind: "main" }];
    const answer = await ask({ title: t("noteTitle", { dish }), choices, field });
    if (answer === null) return;
    this.#edit(() => this.#cart.value?.lines[line.id]
      && this.#cart.merge({ lines: { [line.id]: { note: answer.text || null } } }));
  }

  async #order() {
    if (this.isBusy || this.#lines.length === 0) return;
    const { note } = this.#view;
    this.#view.note = "";
    await this.#last;
    const isPlaced = await this.#ordering.order(this.#lines, { by: guestName(), note });
    if (!isPlaced) this.#view.note = note;
  }

  #edit(work) {
    this.#last = this.#last.then(work).catch((error) => {
      reportError(error);
      this.#callbacks.refused(null);
    });
  }
}
