// What a store says to its guests: what is sold out, how long they wait, whether it takes orders.

import { MOST_CHANNELS } from "../../yabam/transport.js";
import { idOf, soldOutIds } from "./names.js";

const CHANNEL = "public";
export const WAITING_STEP = 5;
const MOST_WAITING = 120;

/** Of these stores those that one client can follow the documents of, too. */
export const heardStores = (stores) => stores.slice(0, Math.max(0, MOST_CHANNELS - stores.length));

/** The channels of documents of these stores. */
export const documentChannels = (stores) => stores.map((id) => `${CHANNEL}:${id}`);

/** The documents of one store. */
export class StoreSays {
  id;
  #soldOut;
  #waiting;
  #taking;

  /** @param state as YabamClient has it @param id the store's */
  constructor(state, id) {
    this.id = id;
    const channel = state(`${CHANNEL}:${id}`);
    this.#soldOut = channel.get("sold-out");
    this.#waiting = channel.get("waiting-time");
    this.#taking = channel.get("taking-orders");
  }

  /** Calls `changed` whenever one of them has changed. */
  watch(changed) {
    for (const document of [this.#soldOut, this.#waiting, this.#taking]) document.subscribe(changed);
  }

  /** Whether something that was said here is not told yet. */
  get isPending() {
    return [this.#soldOut, this.#waiting, this.#taking].some(({ pending }) => pending > 0);
  }

  /** How long guests wait, in minutes, or null: nobody has said so. */
  get waiting() {
    return this.#waiting.value?.value ?? null;
  }

  get isTaking() {
    return this.#taking.value?.value !== false;
  }

  /** The names of what is sold out. */
  get soldOut() {
    return Object.values(this.#soldOut.value?.items ?? {}).map(({ name }) => name);
  }

  isSoldOut(name) {
    return soldOutIds(this.#soldOut.value, name).length > 0;
  }

  /** Says that a dish is sold out, or there again. `names`: all it is called, `id` the menu's, or null. */
  setSoldOut({ names, id = null }, isSoldOut) {
    const items = {};
    names.forEach((name, n) => {
      const entry = id === null ? idOf(name) : n === 0 ? id : `${id}.${n}`;
      if (isSoldOut) items[entry] = { name };
      else for (const known of soldOutIds(this.#soldOut.value, name)) items[known] = null;
    });
    return this.#soldOut.merge({ items });
  }

  /** Lets guests wait so many minutes more or less than was said. */
  setWaiting(more) {
    const value = Math.min(MOST_WAITING, Math.max(0, (this.waiting ?? 0) + more * WAITING_STEP));
    return this.#waiting.set({ value });
  }

  setTaking(value) {
    return this.#taking.set({ value });
  }
}
