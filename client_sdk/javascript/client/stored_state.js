// The positions and the orders as a client stores them. Pure.
//
// A page asks for them after each input, and most inputs change none of them: what has not changed is not made anew.

import { carriesDocuments } from "../contract/contract.js";

/** The parts of a client's state that have an entry for each channel. */
export class StoredState {
  #book;
  #of = /** @type {any} */ (null);
  #positions = {};
  #orders = /** @type {{[channel: string]: any[]}} */ ({});
  #touched;

  /**
   * @param {import("./order_book.js").OrderBook} book the client's
   * @param {string[]} channels all that it follows
   */
  constructor(book, channels) {
    this.#book = book;
    this.#touched = new Set(channels);
  }

  /** Notes that the book's orders of this channel may have changed. */
  touch(channel) {
    this.#touched.add(channel);
  }

  /**
   * The positions and the orders of each channel: the same objects until they change.
   *
   * @param {{[channel: string]: number | null}} all the positions, the same object until they change
   */
  at(all) {
    if (this.#of !== all) {
      this.#of = all;
      this.#positions = Object.fromEntries(Object.entries(all).map(ofOrders));
    }
    if (this.#touched.size > 0) {
      const touched = [...this.#touched].map((channel) => [channel, this.#book.inChannel(channel)]);
      this.#orders = { ...this.#orders, ...Object.fromEntries(touched) };
      this.#touched.clear();
    }
    return { positions: this.#positions, orders: this.#orders };
  }
}

// Documents are stored without a position: their channels start with a snapshot.
const ofOrders = ([channel, seq]) => [channel, carriesDocuments(channel) ? null : seq];
