// The shell around the queue of commands to orders, in the tab that leads: kept before they are shown.
//
// As client_sdk/shared_state/order_desk.py.

import { channelsOf } from "../state/orders/command_queue.js";

/** The commands to orders of one client, running. */
export class OrderDesk {
  #parts;

  /**
   * @param queue what decides
   * @param parts these: {replica, journal, book, followed, time, alone, told}: the edits, which have their places
   *   in the same queue; what keeps it; Core's orders, `() → an OrderBook` or null; the channels that are
   *   followed; `() → Core's clock as the wire has times`, null: not known; `alone(work)` runs it while
   *   nothing else is given a place or taken out; `told(outcomes)` hears what has come, [id, outcome]s
   */
  constructor(queue, parts) {
    this.queue = queue;
    this.#parts = parts;
  }

  /** Makes a command, within `alone`: kept, and shown, when this is done. Its id. It throws as prepare. */
  async make(wish, remembering) {
    const { replica, journal, time } = this.#parts;
    const { client, nextId } = replica.queue;
    const command = this.queue.prepare(wish, nextId, client, time());
    await journal.commit([{ type: "PutCommand", command }, ...remembering(command.id)]);
    replica.placeTaken();
    this.queue.accept(command);
    this.#parts.told([]);
    return command.id;
  }

  /** Whether a command is what goes out next. */
  get isFirst() {
    const [edit] = this.#parts.replica.queue.unanswered;
    const { first } = this.queue;
    return first !== null && (edit === undefined || first < edit.id);
  }

  /** Whether the first command may go out: how old it is, only Core's clock says. */
  get canSend() {
    return this.isFirst && this.#parts.time() !== null;
  }

  /** What to send; null: nothing. What must be known after a crash is kept by then. */
  nextRequest() {
    return this.#parts.alone(async () => {
      const now = this.#parts.time();
      if (now === null || this.queue.first === null) return null;
      const settlement = this.queue.beforeSending(now);
      if (settlement !== null) await this.#settle(settlement);
      return settlement !== null && settlement.outcomes.length > 0 ? null : this.queue.request();
    });
  }

  /** Takes Core's answer, {type: "Done", order, repeated} or {type: "NotTaken", problem}; it throws StateStoreError. */
  async answered(request, { type, order, repeated, problem }) {
    const { queue } = this;
    try {
      await this.#parts.alone(() =>
        this.#settle(type === "Done" ? queue.applied(order, repeated) : queue.refused(problem, problem.order ?? null)),
      );
    } finally {
      queue.failed(request);
    }
  }

  /**
   * The book has changed: {id, order}s, and if a channel has begun anew, {channel, sameLog}, else null; `sameLog`:
   * in the log of the answers so far.
   */
  booked(changes, anew) {
    const before = Object.keys(this.queue.own.known).length;
    if (anew !== null) this.queue.reset(anew.channel, this.#listed, anew.sameLog);
    for (const { id, order } of changes) this.queue.contained(id, order?.version ?? null);
    if (Object.keys(this.queue.own.known).length !== before) this.#parts.told([]);
  }

  /** The versions of Core's orders that are asked for, by their ids. */
  get #listed() {
    const book = this.#parts.book();
    const known = Object.keys(this.queue.own.known).map((id) => [id, book?.get(id)?.version]);
    return Object.fromEntries(known.filter(([, version]) => version !== undefined));
  }

  async #settle(settlement) {
    const { journal, followed, book } = this.#parts;
    await journal.commit(settlement.writes);
    const { order, outcomes } = settlement;
    // Where no channel brings it, or it was brought already, the answer says nothing more.
    const isFollowed = order !== null && channelsOf(order).some((name) => followed.includes(name));
    const isAhead = isFollowed && !book()?.hasTaken(order.id, order.version);
    this.queue.settle(settlement, isAhead, order !== null && (book()?.get(order.id) ?? null) !== null);
    this.#parts.told(outcomes.map(([{ id }, outcome]) => [id, outcome]));
  }
}
