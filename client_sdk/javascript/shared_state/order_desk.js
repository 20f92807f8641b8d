// The shell around the queue of order commands, in the leading tab: stores them before they are shown.
//
// As client_sdk/shared_state/order_desk.py.

import { channelsOf } from "../state/orders/answered_orders.js";
import { keptAnswer } from "../state/orders/kept_answers.js";

/** The running queue of one client's order commands. */
export class OrderDesk {
  #parts;
  /** The ids of the orders with a stored answer. */
  #kept;

  /**
   * @param queue the rules for commands
   * @param parts these: {replica, journal, book, log, followed, time, alone, told}: the edits, which have their
   *   places in the same queue; the journal of the store; Core's orders, `() → an OrderBook` or null; their
   *   positions in Core's log, `() → {epoch, positions}` or null; the followed channels; `() → Core's clock as
   *   RFC 3339 text`, null: not known; `alone(work)` runs it while no edit or command is added or removed;
   *   `told(outcomes)` is called with [id, outcome]s
   * @param answers the stored answers; those that the queue does not show are deleted
   */
  constructor(queue, parts, answers) {
    this.queue = queue;
    this.#parts = parts;
    this.#kept = new Set(answers.map(({ order }) => order.id));
    this.#forget();
  }

  /**
   * Makes a command, to be called within `alone`; it is stored and shown when the promise is fulfilled.
   *
   * @param wish what the program asks for, as CommandQueue.prepare takes it
   * @param remembering (its id) → more writes, which are stored together with it
   * @returns a promise of its id in the queue
   * @throws StateError as CommandQueue.prepare
   * @throws StateStoreError it cannot be stored
   */
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

  /** Whether the next thing to send is a command, not an edit. */
  get isFirst() {
    const [edit] = this.#parts.replica.queue.unanswered;
    const { first } = this.queue;
    return first !== null && (edit === undefined || first < edit.id);
  }

  /** Whether the first command may be sent: its age is only known by Core's clock. */
  get canSend() {
    return this.isFirst && this.#parts.time() !== null;
  }

  /** The command to send; null: nothing. That it was sent is stored first. */
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
   * Takes Core's answer.
   *
   * @param request what was answered, as nextRequest returned it
   * @param answer these: {type: "Done", order, repeated, epoch} or {type: "NotTaken", problem, epoch}
   * @throws StateStoreError the result cannot be stored; the command is sent again
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
   * Notes that the book has applied changes of Core's log.
   *
   * @param changes what has changed, each {id, order}; `order` null: it is not open any more
   * @param epoch the epoch of that log
   * @param anew these, if a channel was reset: {channel, sameLog}; `sameLog`: it is the same log as before, without
   *   lost changes; null: none was reset
   */
  booked(changes, epoch, anew) {
    const { answered } = this.queue;
    const before = this.#answered.join();
    if (anew === null) answered.follow(epoch);
    else answered.reset(anew.channel, this.#listedIn(anew.channel), epoch, anew.sameLog);
    for (const { id, order } of changes) answered.contained(id, order?.version ?? null);
    this.#forget();
    if (this.#answered.join() !== before) this.#parts.told([]);
  }

  /** The ids of the orders that are shown as in answers. */
  get #answered() {
    const { known, ahead } = this.queue.answered;
    return [...known.keys(), ...ahead.keys()];
  }

  /** The versions of the channel's orders, by their ids. */
  #listedIn(channel) {
    const orders = this.#parts.book()?.inChannel(channel) ?? [];
    return Object.fromEntries(orders.map(({ id, version }) => [id, version]));
  }

  async #settle(settlement, epoch = /** @type {string | null} */ (null)) {
    const { journal } = this.#parts;
    await journal.commit([...settlement.writes, ...this.#keeping(settlement, epoch)]);
    const { order, outcomes } = settlement;
    this.queue.settle(settlement, this.#isToCome(order, epoch), this.#isListed(order), epoch);
    this.#forget();
    this.#parts.told(outcomes.map(([{ id }, outcome]) => [id, outcome]));
  }

  /** If no followed channel carries the order, or it has arrived, the answer is not needed. */
  #isToCome(order, epoch) {
    const { followed, book } = this.#parts;
    const isFollowed = order !== null && channelsOf(order).some((name) => followed.includes(name));
    return isFollowed && (this.queue.answered.isAhead(order, epoch) || !book()?.hasTaken(order.id, order.version));
  }

  #isListed(order) {
    return order !== null && (this.#parts.book()?.get(order.id) ?? null) !== null;
  }

  /** Stores the answer together with its command's deletion: after a crash in between, the old order would be
   * shown. */
  #keeping({ order, repeated = false }, epoch) {
    const { answered } = this.queue;
    if (!this.#isToCome(order, epoch)) return [];
    if (!answered.shows(order, { repeated, listed: this.#isListed(order), epoch })) return [];
    const log = answered.isAhead(order, epoch) ? { epoch, positions: {} } : this.#parts.log();
    if (log === null) return [];
    this.#kept.add(order.id);
    return [{ type: "PutAnswer", answer: keptAnswer(order, log, channelsOf(order)) }];
  }

  /** Deletes the answers that are not shown any more. */
  #forget() {
    if (this.#kept.size === 0) return;
    const shown = new Set(this.#answered);
    const gone = [...this.#kept].filter((id) => !shown.has(id));
    for (const id of gone) this.#kept.delete(id);
    this.#parts.journal.put(gone.map((order) => ({ type: "DropAnswer", order })));
  }
}
