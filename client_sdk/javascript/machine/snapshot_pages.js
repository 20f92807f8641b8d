// Snapshots that come in pages, put together before anything is applied. Pure.
//
// As client_sdk/machine/snapshot_pages.py: half a snapshot is no state to show. Its pages are all true at the head
// of the first; what has changed since comes by the events after that head. A server that never
// comes to an end is not believed: the pages of one sync have limits.

import { ContractError, carriesDocuments } from "../contract/contract.js";
import { MAX_ANEW, MAX_EMPTY_PAGES, MAX_PAGED_SYNC_BYTES, MAX_PAGES } from "../contract/contract_lists.js";

/** The answer of one sync, whole once `next` is null. */
export class Assembly {
  #first;
  #channels;
  #place = 0;
  #items = /** @type {any[] | null} */ (null);
  #seen = new Set();
  #pages = 0;
  #anew = 0;
  #empty = 0;
  #size = 0;

  /**
   * @param answer the first answer
   * @param size its length in bytes
   * @throws ContractError it is longer than a sync may be
   */
  constructor(answer, size) {
    this.#first = answer;
    this.#channels = [...answer.channels];
    this.#count(size);
    this.#goToNext();
  }

  /** What to ask for next; null: every snapshot of the answer is whole. */
  get next() {
    return this.#channels[this.#place]?.snapshot?.next ?? null;
  }

  /** All that came so far, as one answer. */
  get answer() {
    if (this.#pages === 0) return this.#first;
    // Even if nothing came meanwhile, the stream's ticket is still to be had.
    return { ...this.#first, channels: [...this.#channels], has_more: true };
  }

  /**
   * Takes the page that was asked for by `next`.
   *
   * A page that starts anew (retention has overtaken the first) takes the place of those before it.
   *
   * @param further the answer that brings it
   * @param size its length in bytes
   * @throws ContractError it is of another answer, or the pages go beyond a limit
   */
  add(further, size) {
    const page = this.next;
    const begun = this.#channels[this.#place];
    const [more, ...rest] = further.channels;
    check(further.epoch === this.#first.epoch, "the log began anew between two pages");
    const fits = more?.snapshot && more.channel === begun.channel && rest.length === 0;
    check(fits, "the page is of another channel, or lacks its snapshot");
    this.#count(size);
    this.#pages += 1;
    this.#seen.add(page);
    if (more.reset) this.#startAnew(more);
    else this.#goOn(begun, more);
    const ends = !this.#seen.has(this.next) && this.#pages < MAX_PAGES;
    check(ends, "the pages of a snapshot do not come to an end");
    this.#goToNext();
  }

  #startAnew(more) {
    this.#anew += 1;
    check(this.#anew <= MAX_ANEW, "the pages of a snapshot start anew again and again");
    this.#channels[this.#place] = more;
    this.#items = null;
  }

  #goOn(begun, more) {
    const { head } = more.snapshot;
    const kind = carriesDocuments(more.channel) ? "documents" : "orders";
    const items = more.snapshot[kind] ?? [];
    check(head === begun.snapshot.head, "the page does not go on where the last one ended");
    this.#empty = items.length > 0 ? 0 : this.#empty + 1;
    check(this.#empty <= MAX_EMPTY_PAGES, "the pages of a snapshot bring nothing");
    // One list grows: with a copy for each page, many pages would cost their square.
    this.#items ??= [...(begun.snapshot[kind] ?? [])];
    for (const item of items) this.#items.push(item);
    const snapshot = { ...more.snapshot, [kind]: this.#items };
    this.#channels[this.#place] = { ...more, reset: begun.reset, snapshot };
  }

  #count(size) {
    this.#size += size;
    check(this.#size <= MAX_PAGED_SYNC_BYTES, `the answer is longer than ${MAX_PAGED_SYNC_BYTES} bytes in all`);
  }

  #goToNext() {
    while (this.#place < this.#channels.length && this.next === null) {
      this.#place += 1;
      this.#items = null;
      this.#empty = 0;
    }
  }
}

function check(condition, fault) {
  if (!condition) throw new ContractError(fault);
}
