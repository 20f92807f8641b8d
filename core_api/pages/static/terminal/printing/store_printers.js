// The printers of one store: what each prints, how it is, and what the owner tells it.

import { fetchCore } from "../../shared/core/fetch_core.js";
import { ofBrowser } from "../../shared/storage.js";
import { MAX_CHANNELS } from "../../yabam/transport.js";
import { MAX_PRINTERS, printersIn, stateOf, ticketsIn } from "./printer_states.js";

/** Each step of a ticket names the agent that took it; the steps of a person have this name. */
const PERSON = "terminal";
const keyOf = (store) => `yabam.printers.${store}`;

/**
 * The channels of the printers that these stores had when this terminal was last open: a client names all its
 * channels at its start.
 *
 * @param stores the ids of the stores
 * @param taken how many other channels are followed; a client can follow MAX_CHANNELS in all
 * @returns the names of the channels
 */
export function printerChannels(stores, taken) {
  const known = stores.flatMap((id) => (ofBrowser.readJson(keyOf(id)) ?? []).map((name) => `device:${id}/${name}`));
  return known.slice(0, Math.max(0, MAX_CHANNELS - taken));
}

/** The printers of one store. */
export class StorePrinters {
  id;
  #state;
  #printing;
  #followed;
  #token;

  /**
   * @param state the documents, as YabamClient.state
   * @param id the store's id
   * @param followed the names of all channels that the client follows
   * @param token () → the owner's bearer token
   */
  constructor({ state, id, followed, token }) {
    this.id = id;
    this.#state = state;
    this.#printing = state(`team:${id}`).get("printing");
    this.#followed = new Set(followed);
    this.#token = token;
  }

  /** The store's printers: [id, settings]. */
  get settings() {
    return printersIn(this.#printing.value);
  }

  /** The store's stations: [name, names of dishes]. */
  get stations() {
    return Object.entries(this.#printing.value?.stations ?? {}).sort(([a], [b]) => a.localeCompare(b));
  }

  /** How each printer is, as `stateOf` returns it. */
  get states() {
    return this.settings.map(([id]) => {
      const channel = `device:${this.id}/${id}`;
      if (!this.#followed.has(channel)) return stateOf(id, { status: null, tickets: [], isFollowed: false });
      const found = this.#state(channel);
      const documents = found.keys.map((key) => ({ key, value: found.get(key).value }));
      const status = documents.find(({ key }) => key === "status")?.value ?? null;
      return stateOf(id, { status, tickets: ticketsIn(documents), isFollowed: true });
    });
  }

  /** Stores which printers there are, for the next start. */
  remember() {
    if (this.#printing.version === 0) return;
    const names = this.settings.map(([id]) => id).slice(0, MAX_PRINTERS);
    const known = ofBrowser.readJson(keyOf(this.id)) ?? [];
    if (known.join() !== names.join()) ofBrowser.writeJson(keyOf(this.id), names);
  }

  /**
   * Changes settings of a printer.
   *
   * @param printer the printer's id
   * @param settings those that change, by name; null: the printer is removed
   * @returns a promise of the edit
   */
  set(printer, settings) {
    return this.#merge({ printers: { [printer]: settings } });
  }

  /**
   * Says which dishes a station makes.
   *
   * @param name the station's name
   * @param dishes the names of its dishes; null: the station is removed, also from the settings of printers
   * @returns a promise of the edit
   */
  setStation(name, dishes) {
    const printers = {};
    if (dishes === null) {
      for (const [id, { stations }] of this.settings) {
        if (!stations?.includes(name)) continue;
        const others = stations.filter((one) => one !== name);
        printers[id] = { stations: others.length > 0 ? others : null };
      }
    }
    return this.#merge({ printers, stations: { [name]: dishes } });
  }

  /**
   * Has a ticket printed again, or dropped.
   *
   * @param printer the printer's id
   * @param ticket the ticket's id
   * @param step "again" or "drop"
   * @throws Error Core does not answer, or refuses; its message says why
   */
  async tell(printer, ticket, step) {
    const path = `/v1/stores/${this.id}/devices/${encodeURIComponent(printer)}/prints/${encodeURIComponent(ticket)}`;
    const answer = await fetchCore(path, this.#token(), { method: "POST", json: { step, agent: PERSON } });
    if (answer.ok) return;
    const problem = await answer.json().catch(() => null);
    throw new Error(problem?.detail ?? problem?.title ?? String(answer.status));
  }

  #merge(patch) {
    return this.#printing.merge({ printers: {}, ...patch });
  }
}
