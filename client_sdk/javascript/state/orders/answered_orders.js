// Orders from Core's answers to commands, kept until they arrive through the log. Pure.
//
// As client_sdk/state/orders/answered_orders.py. Without them, an order would be shown as it was before a step
// that Core has already done, and the next step would be based on an outdated version. Versions of two logs
// cannot be compared: after a restore, each channel is reset at its own time, and until then it shows the
// previous log's orders.

/** So much of a kind is remembered, the newest. */
const MAX_REMEMBERED = 1000;

/** What Core's answers say about orders, independent of the log. */
export class AnsweredOrders {
  /** The orders of answers from the followed log, by their ids. */
  known;
  /** The orders of answers from a later log, until the client follows that log. */
  ahead;
  /** The epoch of the log of `ahead`. */
  #aheadLog;
  /** The epoch of the last change's log; "": there was no change yet. */
  #log;
  /** The epoch of each channel's log. */
  #logs;
  /** The latest epoch that each channel has had: a backup may go back to an earlier one. */
  #latest;
  /** The channels that were reset since the first command was sent. */
  #begunAnew = new Set();
  /** Whether Core has changed to another log since then, as after a restore. */
  #isOtherLog = false;
  /** Whether Core's log has lost changes since then, within the same epoch. */
  #hasGoneBack = false;

  /**
   * @param told these: {known, ahead, aheadLog}: the stored orders, by their ids, and the epoch of the log of `ahead`
   * @param followed the channels of orders
   * @param log the epoch of the log that the shown orders come from; "": there are none yet
   */
  constructor({ known, ahead, aheadLog }, followed, log) {
    this.known = new Map(Object.entries(known));
    this.ahead = new Map(Object.entries(ahead));
    this.#aheadLog = aheadLog;
    this.#log = log;
    this.#logs = new Map(followed.map((channel) => [channel, log]));
    this.#latest = new Map(this.#logs);
  }

  /** The epoch of the last change's log; "": there was no change yet. */
  get log() {
    return this.#log;
  }

  /** The first command is being sent: starts to note resets. */
  sent() {
    this.#begunAnew.clear();
    this.#isOtherLog = this.#hasGoneBack = false;
  }

  /**
   * Whether an answer's log is later than the one shown for any of the order's channels. Epochs sort by time.
   *
   * @param order as the answer has it
   * @param epoch the epoch of the answer's log; null: the answer does not name it
   */
  isAhead(order, epoch) {
    return epoch !== null && this.#followed(order).some((channel) => epoch > this.#latest.get(channel));
  }

  /**
   * Takes an answer whose order has not arrived through the log yet.
   *
   * Until then the order is shown as in the answer. After a repeated answer or a snapshot, an order that is not
   * shown may be closed already, and no event would ever remove it: it is not added. An answer of a later log,
   * as after a restore that this client has not noticed yet, is kept until the client follows that log.
   *
   * @param order as the answer has it
   * @param facts these: {repeated, listed, epoch}: whether the command was done at an earlier try, so that the order
   *   may have changed since; whether the log contains the order, at an older version; the answer's log, null:
   *   the answer does not name it
   */
  take(order, facts) {
    if (!this.shows(order, facts)) return;
    if (this.isAhead(order, facts.epoch)) this.#putAhead(order, facts.epoch);
    else remember(this.known, order.id, order);
  }

  /**
   * Whether `take` would show the order as in the answer.
   *
   * @param order as the answer has it
   * @param facts as for `take`
   */
  shows(order, { repeated, listed, epoch }) {
    // If no log is known yet, no snapshot may ever show whether the order has changed since.
    if (this.isAhead(order, epoch)) return epoch >= this.#aheadLog && (!repeated || this.#log !== "");
    if (this.#isGone(order, epoch)) return false;
    const isNewest = !repeated && !channelsOf(order).some((name) => this.#begunAnew.has(name));
    return listed || this.known.has(order.id) || isNewest;
  }

  /**
   * The order has arrived through the log.
   *
   * @param id the order's id
   * @param version its version there; null: the log has removed it
   */
  contained(id, version) {
    const known = this.known.get(id);
    if (known !== undefined && (version === null || version >= known.version)) this.known.delete(id);
  }

  /**
   * Notes the log of the orders that came before the first snapshot, or without one.
   *
   * @param log its epoch; "": not known
   */
  follow(log) {
    if (this.#log !== "" || log === "") return;
    this.#log = log;
    for (const channel of [...this.#logs.keys()]) this.#begin(channel, log);
  }

  /**
   * Replaces the channel's orders by its snapshot, except those with a newer answer: the snapshot may be older
   * than a command whose answer is already here. Within one log an order's versions only grow.
   *
   * @param channel the channel that was reset
   * @param listed the versions of the orders in its snapshot, by their ids
   * @param log the epoch of the snapshot's log
   * @param sameLog whether it is the same log as before, without lost changes. If not, the versions in earlier
   *   answers are invalid
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

  /** Sets the channel's log; answers that are no longer ahead of any channel become known. */
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

  /** Whether the versions in an answer of this epoch may be invalid. */
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

/**
 * The channels that carry the order.
 *
 * @param order has `store_id` and `table_id`
 */
export function channelsOf({ store_id: store, table_id: table }) {
  return table === null ? [`store:${store}`] : [`store:${store}`, `table:${store}/${table}`];
}

/**
 * Adds the entry as the newest; drops the oldest if there are too many.
 *
 * @param map what is changed; its order is the entries' age, oldest first
 * @param name the entry's key; an older entry of this name is replaced
 * @param value the entry's value
 */
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
