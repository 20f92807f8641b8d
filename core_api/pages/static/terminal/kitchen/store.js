// The documents of a store. Its guests read what is sold out, how long they wait and whether it takes orders; its
// team reads who is on shift and when an order has waited too long.

import { MAX_CHANNELS } from "../../yabam/transport.js";
import { WAITS } from "../board/steps.js";
import { idOf, soldOutIds } from "./names.js";

const CHANNELS = ["public", "team"];
export const WAITING_STEP = 5;
const MAX_AGE = 600;
const MAX_WAITING = 120;

/** Those of these stores whose documents one client can follow, too: the number of its channels is limited. */
export const storesWithDocuments = (stores) =>
  stores.slice(0, Math.max(0, Math.floor((MAX_CHANNELS - stores.length) / CHANNELS.length)));

/** The names of the channels of these stores' documents. */
export const documentChannels = (stores) => stores.flatMap((id) => CHANNELS.map((kind) => `${kind}:${id}`));

/** The documents of one store. */
export class StoreDocuments {
  id;
  #soldOut;
  #waiting;
  #taking;
  #shift;
  #ages;

  /**
   * @param state the documents, as YabamClient.state
   * @param id the store's id
   */
  constructor(state, id) {
    this.id = id;
    const [guests, team] = CHANNELS.map((kind) => state(`${kind}:${id}`));
    this.#soldOut = guests.get("sold-out");
    this.#waiting = guests.get("waiting-time");
    this.#taking = guests.get("taking-orders");
    this.#shift = team.get("shift");
    this.#ages = team.get("age-limits");
  }

  /** Calls `changed` whenever one of the documents has changed. */
  watch(changed) {
    for (const document of this.#all) document.subscribe(changed);
  }

  /** Whether some edit of this terminal is not answered yet. */
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

  /**
   * Puts a person on shift.
   *
   * @param id an id that no other device makes
   * @param name the person's name
   * @param task what they do; it may be empty
   * @returns a promise of the edit
   */
  addPerson(id, name, task) {
    return this.#shift.merge({ people: { [id]: { name, task } } });
  }

  /** Takes a person off the shift; returns a promise of the edit. */
  removePerson(id) {
    return this.#shift.merge({ people: { [id]: null } });
  }

  /** When an order has waited too long, as WAITS. Where the store has set nothing, the default is used. */
  get ages() {
    const said = this.#ages.value ?? {};
    return Object.fromEntries(Object.entries(WAITS).map(([column, usual]) => [column, { ...usual, ...said[column] }]));
  }

  /**
   * Changes the time after which an order's age in a column turns amber or red. Red never comes before amber.
   *
   * @param column a name of WAITS
   * @param colour amber or red
   * @param more so many minutes later; negative: earlier
   * @returns a promise of the edit
   */
  setAge(column, colour, more) {
    const { amber, red } = this.ages[column];
    const clamp = (minutes) => Math.min(MAX_AGE, Math.max(1, minutes));
    const wanted = clamp({ amber, red }[colour] + more);
    const limits = colour === "amber" ? { amber: wanted, red: Math.max(red, wanted) } : { amber: Math.min(amber, wanted), red: wanted };
    return this.#ages.merge({ [column]: limits });
  }

  /** How many minutes guests wait, as the store says; null: it does not say. */
  get waiting() {
    return this.#waiting.value?.value ?? null;
  }

  get isTaking() {
    return this.#taking.value?.value !== false;
  }

  /** The names of the dishes that are sold out. */
  get soldOut() {
    return Object.values(this.#soldOut.value?.items ?? {}).map(({ name }) => name);
  }

  isSoldOut(name) {
    return soldOutIds(this.#soldOut.value, name).length > 0;
  }

  /**
   * Says that a dish is sold out, or that it can be ordered again.
   *
   * @param dish `names`: all its names; `id`: its id on the menu, or null
   * @param isSoldOut whether it is sold out
   * @returns a promise of the edit
   */
  setSoldOut({ names, id = null }, isSoldOut) {
    const items = {};
    names.forEach((name, n) => {
      const entry = id === null ? idOf(name) : n === 0 ? id : `${id}.${n}`;
      if (isSoldOut) items[entry] = { name };
      else for (const known of soldOutIds(this.#soldOut.value, name)) items[known] = null;
    });
    return this.#soldOut.merge({ items });
  }

  /** Changes the waiting time by so many steps of WAITING_STEP minutes; returns a promise of the edit. */
  setWaiting(more) {
    const value = Math.min(MAX_WAITING, Math.max(0, (this.waiting ?? 0) + more * WAITING_STEP));
    return this.#waiting.set({ value });
  }

  setTaking(value) {
    return this.#taking.set({ value });
  }
}
