// The shell around the queue of commands to orders, in the tab that leads: kept before they are shown.
//
// As client_sdk/shared_state/order_desk.py.

import { channelsOf } from "../state/orders/command_queue.js";
import { keptAnswer } from "../state/orders/kept_answers.js";

/** The commands to orders of one client, running. */
export class OrderDesk {
  #parts;
  /** The orders of which an answer is kept, by their ids. */
  #kept;

  /**
   * @param queue what decides
   * @param parts these: {replica, journal, book, log, followed, time, alone, told}: the edits, which have their
   *   places in the same queue; what keeps it; Core's orders, `() → an OrderBook` or null; where they are in
   *   Core's log, `() → {epoch, positions}` or null; the channels that are followed; `() → Core's clock as the
   *   wire has times`, null: not known; `alone(work)` runs it while nothing else is given a place or taken
   *   out; `told(outcomes)` hears what has come, [id, outcome]s
   * @param answers those that are kept; what the queue does not show of them is forgotten
   */
  constructor(queue, parts, answers) {
    this.queue = queue;
    this.#parts = parts;
    this.#kept = new Set(answers.map(({ order }) => order.id));
    this.#forget();
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

  /**
   * Takes Core's answer, {type: "Done", order, repeated, epoch} or {type: "NotTaken", problem, epoch}; it throws
   * StateStoreError.
   */
  async answered(request, { type, order, repeated, problem, epoch }) {
    const { queue } = this;
    const isDone = type === "Done";
    try {
      await this.#parts.alone(() =>
        this.#settle(isDone ? queue.applied(order, repeated) : queue.refused(problem, problem.order ?? null), epoch),
      );
    } finally {
      queue.failed(request);
    }
  }

  /**
   * The book has changed, by what came of the log of this epoch: {id, order}s, and if a channel has begun anew,
   * {channel, sameLog}, else null; `sameLog`: it is the log that was followed before, and has not gone back.
   */
  booked(changes, epoch, anew) {
    const before = this.#answered.join();
    if (anew === null) this.queue.follow(epoch);
    else this.queue.reset(anew.channel, this.#listed, epoch, anew.sameLog);
    for (const { id, order } of changes) this.queue.contained(id, order?.version ?? null);
    this.#forget();
    if (this.#answered.join() !== before) this.#parts.told([]);
  }

  /** The ids of the orders that are shown as answers have them. */
  get #answered() {
    const { known, ahead } = this.queue.own;
    return [...Object.keys(known), ...Object.keys(ahead)];
  }

  /** The versions of Core's orders that are asked for, by their ids. */
  get #listed() {
    const book = this.#parts.book();
    const known = this.#answered.map((id) => [id, book?.get(id)?.version]);
    return Object.fromEntries(known.filter(([, version]) => version !== undefined));
  }

  async #settle(settlement, epoch = /** @type {string | null} */ (null)) {
    const { journal } = this.#parts;
    await journal.commit([...settlement.writes, ...this.#keeping(settlement, epoch)]);
    const { order, outcomes } = settlement;
    this.queue.settle(settlement, this.#isToCome(order, epoch), this.#isListed(order), epoch);
    this.#forget();
    this.#parts.told(outcomes.map(([{ id }, outcome]) => [id, outcome]));
  }

  /** Where no channel brings it, or it was brought already, the answer says nothing more. */
  #isToCome(order, epoch) {
    const { followed, book } = this.#parts;
    const isFollowed = order !== null && channelsOf(order).some((name) => followed.includes(name));
    return isFollowed && (this.queue.isAhead(epoch) || !book()?.hasTaken(order.id, order.version));
  }

  #isListed(order) {
    return order !== null && (this.#parts.book()?.get(order.id) ?? null) !== null;
  }

  /** The answer is kept together with the end of its command: a crash between would show the order before it. */
  #keeping({ order, repeated = false }, epoch) {
    const log = this.queue.isAhead(epoch) ? { epoch, positions: {} } : this.#parts.log();
    const isShown = this.queue.shows(order, repeated, this.#isToCome(order, epoch), this.#isListed(order), epoch);
    if (!isShown || log === null) return [];
    this.#kept.add(order.id);
    return [{ type: "PutAnswer", answer: keptAnswer(order, log, channelsOf(order)) }];
  }

  /** Lets go of the answers that are not shown any more. */
  #forget() {
    if (this.#kept.size === 0) return;
    const shown = new Set(this.#answered);
    const gone = [...this.#kept].filter((id) => !shown.has(id));
    for (const id of gone) this.#kept.delete(id);
    this.#parts.journal.put(gone.map((order) => ({ type: "DropAnswer", order })));
  }
}
