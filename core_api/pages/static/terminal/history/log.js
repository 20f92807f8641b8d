// The orders of a store as its log reports them, read backwards from the end.

import { fetchCore } from "../../shared/core/fetch_core.js";
import { checkSync } from "../../yabam/contract/contract.js";

/** How many events are asked for at once. */
const PAGE = 200;

/** One store's log, as far back as it was read. */
export class StoreLog {
  /** Whether the log has nothing older than what was read. */
  isWhole = false;
  #channel;
  #ask;
  #start = null;
  #oldest = null;
  #orders = new Map();

  /**
   * @param store the store's id
   * @param ask (query) → a promise of Fetch Sync's answer; it may reject
   */
  constructor(store, ask) {
    this.#channel = `store:${store}`;
    this.#ask = ask;
  }

  /** All orders that were found, each as of its newest event. */
  get orders() {
    return [...this.#orders.values()];
  }

  /** When the oldest event that was read happened, in milliseconds since 1970; null: none was read. */
  get oldest() {
    return this.#oldest;
  }

  /**
   * Reads one page further back.
   *
   * @param head the seq of the channel's newest event, where the first page ends; null: not known yet
   * @throws Error nothing is known of the log yet, or Core could not be asked
   */
  async earlier(head) {
    const end = this.#start ?? head;
    if (end === null) throw new Error("nothing is known of the log yet");
    for (let size = Math.min(PAGE, end); size > 0; size = Math.floor(size / 2)) {
      const events = await this.#between(end - size, end);
      // The log no longer reaches back that far: a page of half the size may still be there.
      if (events === null) continue;
      this.#start = end - size;
      this.isWhole = this.#start === 0;
      this.#take(events);
      return;
    }
    this.isWhole = true;
  }

  /** The events after `start` up to `end`, both seqs; null: they have been deleted. */
  async #between(start, end) {
    const events = [];
    for (let after = start; after < end; after = events.at(-1).seq) {
      const query = new URLSearchParams({ channel: this.#channel, lastEventId: `${this.#channel}@${after}` });
      query.set("limit", String(end - after));
      query.set("orders", "1");
      const { channels } = checkSync(await this.#ask(query));
      const [part] = channels;
      if (part.reset) return null;
      if (part.events.length === 0) break;
      events.push(...part.events);
    }
    return events.filter(({ seq }) => seq <= end);
  }

  #take(events) {
    for (const { data } of events) {
      const known = this.#orders.get(data.id);
      if (known === undefined || known.version < data.version) this.#orders.set(data.id, data);
    }
    if (events.length > 0) this.#oldest = Date.parse(events[0].occurred_at);
  }
}

/**
 * Returns (query) → a promise of Fetch Sync's answer, with the token that `give` returns. The request names no
 * device, because this page applies nothing of it.
 */
export const askCore = (give) => async (query) => {
  const response = await fetchCore(`/v1/sync?${query}`, give());
  if (!response.ok) throw new Error(`Core answered ${response.status}`);
  return response.json();
};
