// Orders as Core's answers to commands gave them, until its log has brought them here. Pure.
//
// As client_sdk/state/orders/answered_orders.py. Without them an order would be shown as before a step that Core
// has answered, and the next step would be made on a version that is gone. Versions of two logs cannot be
// compared: after a restore each channel begins anew, one after the other, and until then what is shown of it is
// of the log before.

/** So much of a kind is remembered, the newest. */
const MAX_REMEMBERED = 1000;

/** What answers say of orders beside the log. */
export class AnsweredOrders {
  /** The orders of the log that is followed, by their ids. */
  known;
  /** Those of a later one, until that begins here. */
  ahead;
  /** The epoch of the log of `ahead`. */
  #aheadLog;
  /** The epoch of the log that the last change was of; "": there was none yet. */
  #log;
  /** The epoch of each channel's log. */
  #logs;
  /** The latest epoch that each channel has had: a backup may go back to an earlier one. */
  #latest;
  /** The channels that have begun anew since the first command was sent. */
  #begunAnew = new Set();
  /** Whether Core's log has become another one since then, as after a restore. */
  #isOtherLog = false;
  /** Whether it has gone back since then, in the epoch that it had. */
  #hasGoneBack = false;

  /**
   * @param told these: {known, ahead, aheadLog}: what is there, orders by their ids, and the epoch of the log of
   *   `ahead`
   * @param followed the channels of orders
   * @param log the log of the orders that are shown, by its epoch; "": there are none yet
   */
  constructor({ known, ahead, aheadLog }, followed, log) {
    this.known = new Map(Object.entries(known));
    this.ahead = new Map(Object.entries(ahead));
    this.#aheadLog = aheadLog;
    this.#log = log;
    this.#logs = new Map(followed.map((channel) => [channel, log]));
    this.#latest = new Map(this.#logs);
  }

  /** The epoch of the log that the last change was of; "": there was none yet. */
  get log() {
    return this.#log;
  }

  /** The first command goes out. */
  sent() {
    this.#begunAnew.clear();
    this.#isOtherLog = this.#hasGoneBack = false;
  }

  /**
   * Whether an answer of this log (null: it does not say) is of a later one than what is shown of its channels.
   * The names of epochs sort by time.
   */
  isAhead(order, epoch) {
    return epoch !== null && this.#followed(order).some((channel) => epoch > this.#latest.get(channel));
  }

  /**
   * Takes an answer of which the log has still to bring the order.
   *
   * The order is shown as the answer has it until then. One that is not shown may have ended beyond what the log
   * will bring, after a repeated answer or a snapshot: it would be shown for ever. An answer of a later log than
   * the one that is followed, as after a restore that this client has still to learn of, holds until that log
   * begins here.
   *
   * @param order as the answer has it
   * @param facts these: {repeated, listed, epoch}: whether the command was done at an earlier try, so that the
   *   order may have gone on since; whether the log has brought the order, at an older version; the log that the
   *   answer is of, null: it does not say
   */
  take(order, facts) {
    if (!this.shows(order, facts)) return;
    if (this.isAhead(order, facts.epoch)) this.#putAhead(order, facts.epoch);
    else remember(this.known, order.id, order);
  }

  /** Whether the order is shown as the answer has it, once that is taken. */
  shows(order, { repeated, listed, epoch }) {
    // Where no log has begun, no snapshot may come that says what became of it since.
    if (this.isAhead(order, epoch)) return epoch >= this.#aheadLog && (!repeated || this.#log !== "");
    if (this.#isGone(order, epoch)) return false;
    const isNewest = !repeated && !channelsOf(order).some((name) => this.#begunAnew.has(name));
    return listed || this.known.has(order.id) || isNewest;
  }

  /** The log has brought the order at this version; null: it is not there any more. */
  contained(id, version) {
    const known = this.known.get(id);
    if (known !== undefined && (version === null || version >= known.version)) this.known.delete(id);
  }

  /** What was there before the first snapshot, or came without one, is of this log, by its epoch. */
  follow(log) {
    if (this.#log !== "" || log === "") return;
    this.#log = log;
    for (const channel of [...this.#logs.keys()]) this.#begin(channel, log);
  }

  /**
   * The channel's orders are what its snapshot says, but for answers that are newer: the snapshot may have been
   * read before a command was done whose answer is here already. In one log an order's versions only grow.
   *
   * @param channel what has begun anew
   * @param listed the versions of the orders in its snapshot, by their ids
   * @param log the epoch of the snapshot's log
   * @param sameLog whether it is the log that was followed before, and has not gone back. If not, the versions
   *   that its answers named are gone
   */
  reset(channel, listed, log, sameLog) {
    if (!sameLog) {
      this.#isOtherLog = true;
      this.#hasGoneBack = log === this.#log;
      this.known.clear();
    }
    this.#log = log;
    this.#begunAnew.add(channel);
    dropListed(this.known, channel, listed);
    if (this.#aheadLog < log) this.ahead.clear();
    else if (this.#aheadLog === log) dropListed(this.ahead, channel, listed);
    this.#begin(channel, log);
  }

  #followed(order) {
    return channelsOf(order).filter((channel) => this.#logs.has(channel));
  }

  /** The channel's orders are of this log; what is ahead of no channel any more is known. */
  #begin(channel, log) {
    this.#logs.set(channel, log);
    const latest = this.#latest.get(channel) ?? "";
    this.#latest.set(channel, log > latest ? log : latest);
    for (const order of [...this.ahead.values()]) {
      if (this.isAhead(order, this.#aheadLog)) continue;
      this.ahead.delete(order.id);
      if (!this.#isGone(order, this.#aheadLog)) this.known.set(order.id, order);
    }
  }

  /** Whether the versions that an answer names may be gone. */
  #isGone(order, epoch) {
    if (epoch === null || this.#hasGoneBack) return this.#isOtherLog;
    return this.#followed(order).some((channel) => epoch !== this.#logs.get(channel));
  }

  #putAhead(order, epoch) {
    if (epoch > this.#aheadLog) this.ahead.clear();
    this.#aheadLog = epoch;
    remember(this.ahead, order.id, order);
  }
}

/** The channels that tell of the order. */
export function channelsOf({ store_id: store, table_id: table }) {
  return table === null ? [`store:${store}`] : [`store:${store}`, `table:${store}/${table}`];
}

/** Remembers it as the newest; the oldest goes where there are too many. */
export function remember(map, name, value) {
  map.delete(name);
  map.set(name, value);
  if (map.size > MAX_REMEMBERED) map.delete(map.keys().next().value);
}

function dropListed(answered, channel, listed) {
  for (const order of [...answered.values()]) {
    const isNewer = (listed[order.id] ?? order.version) < order.version;
    if (channelsOf(order).includes(channel) && !isNewer) answered.delete(order.id);
  }
}
