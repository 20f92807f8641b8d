// What a store says to its guests: what is sold out, how long they wait, whether it takes orders; and what
// its people share: who is on shift, and when an order has waited too long.

import { MAX_CHANNELS } from "../../yabam/transport.js";
import { WAITS } from "../board/steps.js";
import { idOf, soldOutIds } from "./names.js";

const CHANNELS = ["public", "team"];
export const WAITING_STEP = 5;
const MAX_AGE = 600;
const MAX_WAITING = 120;

/** Of these stores those that one client can follow the documents of, too. */
export const heardStores = (stores) =>
  stores.slice(0, Math.max(0, Math.floor((MAX_CHANNELS - stores.length) / CHANNELS.length)));

/** The channels of documents of these stores. */
export const documentChannels = (stores) => stores.flatMap((id) => CHANNELS.map((kind) => `${kind}:${id}`));

/** The documents of one store. */
export class StoreSays {
  id;
  #soldOut;
  #waiting;
  #taking;
  #shift;
  #ages;

  /** @param state as YabamClient has it @param id the store's */
  constructor(state, id) {
    this.id = id;
    const [guests, team] = CHANNELS.map((kind) => state(`${kind}:${id}`));
    this.#soldOut = guests.get("sold-out");
    this.#waiting = guests.get("waiting-time");
    this.#taking = guests.get("taking-orders");
    this.#shift = team.get("shift");
    this.#ages = team.get("age-limits");
  }

  /** Calls `changed` whenever one of them has changed. */
  watch(changed) {
    for (const document of this.#all) document.subscribe(changed);
  }

  /** Whether something that was said here is not told yet. */
  get isPending() {
    return this.#all.some(({ pending }) => pending > 0);
  }

  get #all() {
    return [this.#soldOut, this.#waiting, this.#taking, this.#shift, this.#ages];
  }

  /** Who is on shift: [{id, name, task}]. */
  get people() {
    return Object.entries(this.#shift.value?.people ?? {}).map(([id, { name, task = "" }]) => ({ id, name, task }));
  }

  /** Somebody has come; `task` may be empty. `id` is one that no other device makes. */
  come(id, name, task) {
    return this.#shift.merge({ people: { [id]: { name, task } } });
  }

  /** Somebody has left. */
  leave(id) {
    return this.#shift.merge({ people: { [id]: null } });
  }

  /** When an order has waited too long, as WAITS; what the store has not said is as it was. */
  get ages() {
    const said = this.#ages.value ?? {};
    return Object.fromEntries(Object.entries(WAITS).map(([column, usual]) => [column, { ...usual, ...said[column] }]));
  }

  /** Lets a column's age turn that colour so many minutes later or earlier. Red never comes before amber. */
  setAge(column, colour, more) {
    const { amber, red } = this.ages[column];
    const clamp = (minutes) => Math.min(MAX_AGE, Math.max(1, minutes));
    const wanted = clamp({ amber, red }[colour] + more);
    const limits = colour === "amber" ? { amber: wanted, red: Math.max(red, wanted) } : { amber: Math.min(amber, wanted), red: wanted };
    return this.#ages.merge({ [column]: limits });
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
    const value = Math.min(MAX_WAITING, Math.max(0, (this.waiting ?? 0) + more * WAITING_STEP));
    return this.#waiting.set({ value });
  }

  setTaking(value) {
    return this.#taking.set({ value });
  }
}
