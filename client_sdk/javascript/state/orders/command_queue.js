// The queue of order commands: requests, answers, and commands that a refusal cancels. Pure.
//
// As client_sdk/state/orders/command_queue.py. Commands are sent one at a time, in order. A command that
// depends on another one is sent after that one is answered, for the resulting version; if that one was
// refused, both are. The others go on.
//
// Each change of the queue is first prepared as a settlement, {entries, writes, outcomes, order, repeated}, and
// takes effect once that is stored. Otherwise a crash could lose a refusal that was already reported, and the
// same command might succeed after a restart. Nothing else may change the queue in between.

import { isOpen } from "../../contract/contract.js";
import {
  MAX_COMMANDS,
  MAX_COMMAND_AGE_S,
  MAX_SENT_AGE_S,
} from "../../contract/contract_lists.js";
import { slugOf } from "../../transport/http_failures.js";
import { StateError, shown } from "../../contract/state/errors.js";
import { AnsweredOrders, remember } from "./answered_orders.js";
import { checkBody, requestOf } from "./commands.js";
import { shownAs } from "./view.js";

const ORDER_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const TOO_OLD = `it was made more than ${MAX_COMMAND_AGE_S / 3600} hours ago, and was never sent`;
const NOBODY_KNOWS = `it was sent more than ${MAX_SENT_AGE_S / 86_400} days ago, and the answer was lost: check the order`;
const DEPENDS = "the command that it depends on was refused";

const put = (command) => ({ type: "PutCommand", command });
const drop = (id) => ({ type: "DropCommand", id });
const problem = (slug, detail) => ({
  type: `urn:yabam:problem:${slug}`,
  title: slug === "depends" ? "A command that it depends on was refused" : "The command is too old",
  status: 409,
  detail,
});
/** The fields of a command that name the version it is based on. */
const versionOf = ({ version, updated_at }) => ({ version, updated_at });
const since = (from, now) => (Date.parse(now) - Date.parse(from)) / 1000;

/** The unanswered commands of one client. */
export class CommandQueue {
  /** What Core's answers say about orders, independent of the log. */
  answered;
  #placed;
  #ends = new Map();
  #errors;
  #flight = /** @type {any} */ (null);

  /**
   * @param entries the commands, in order
   * @param own the stored orders, in the form of `own`; `aheadLog`: the epoch of the log of `ahead`
   * @param followed the channels of orders
   * @param log the epoch of the log that the shown orders come from; "": there are none yet
   */
  constructor(
    entries = [],
    { known = {}, ahead = {}, aheadLog = "", errors = {}, placed = {} } = {},
    followed = /** @type {string[]} */ ([]),
    log = "",
  ) {
    this.entries = [...entries];
    this.answered = new AnsweredOrders({ known, ahead, aheadLog }, followed, log);
    this.#errors = new Map(Object.entries(errors));
    this.#placed = new Map(Object.entries(placed));
  }

  /** What this client knows about orders in addition to Core's log, in the form of orders/view.js. */
  get own() {
    const maps = [this.answered.known, this.answered.ahead, this.#errors, this.#placed];
    const [known, ahead, errors, placed] = maps.map((map) => Object.fromEntries(map));
    return { entries: this.entries, known, ahead, errors, placed };
  }

  /** The place of the first command; null: none waits. */
  get first() {
    return this.entries[0]?.id ?? null;
  }

  /**
   * The id of an order at Core, if it has one by now.
   *
   * @param order its id, or the key that it was shown under before it was placed
   * @returns the id; the key as it is, if the order is not placed yet
   */
  idOf(order) {
    return this.#placed.get(order) ?? order;
  }

  // ── new commands ─────────────────────────────────────────────────────────────────────────────

  /**
   * Makes a command. It is in the queue only after `accept`.
   *
   * @param wish what a program asks for: {kind, body, order, version, updatedAt, status, after}; the order by
   *   the id that it is shown under (null: a new one), and the version and status that the program saw
   * @param place its place in the queue
   * @param client the client id that edits are sent under
   * @param madeAt the time by Core's clock; null: not known
   * @throws StateError it is malformed or too large, too many wait, or the command it depends on was refused
   */
  prepare({ kind, body, order = null, status = null, after = null, ...seen }, place, client, madeAt) {
    if (this.entries.length >= MAX_COMMANDS) throw new StateError(`${MAX_COMMANDS} commands are waiting: try again later`);
    checkBody(kind, body);
    // No other queue has this client id, and no place is used twice.
    const made = { id: place, key: `${client}-${place}`, kind, body };
    const rest = { version: null, updated_at: null, status, after: null, made_at: madeAt, sent_at: null };
    if (order === null) return { ...made, order, ...rest };
    const id = this.idOf(order);
    const isWaiting = this.entries.some((entry) => entry.kind === "place" && entry.key === id);
    if (!isWaiting && !ORDER_ID.test(id)) throw new StateError(`${shown(id)} is not an order that this client shows`);
    const command = { ...made, order: id, ...rest };
    if (after === null) return { ...command, version: seen.version ?? null, updated_at: seen.updatedAt ?? null };
    if (this.entries.some((entry) => entry.id === after)) return { ...command, after };
    // The earlier command was answered after the program read the order.
    const end = this.#ends.get(after) ?? null;
    if (end === null) throw new StateError("the previous command was refused: read the order again");
    return { ...command, ...end };
  }

  /** Adds the command to the queue, after it was stored. */
  accept(command) {
    this.entries = [...this.entries, command];
    this.#errors.delete(shownAs(command));
  }

  // ── requests and answers ─────────────────────────────────────────────────────────────────────

  /**
   * What to store before the first command is sent; null: nothing.
   *
   * @param now by Core's clock, as RFC 3339 text
   */
  beforeSending(now) {
    const [first, ...rest] = this.entries;
    if (first.sent_at !== null) {
      if (since(first.sent_at, now) <= MAX_SENT_AGE_S) return null;
      return this.#given(problem("too-late", NOBODY_KNOWS), null);
    }
    const madeAt = first.made_at ?? now;
    if (since(madeAt, now) > MAX_COMMAND_AGE_S) return this.#given(problem("too-late", TOO_OLD), null);
    const sent = { ...first, made_at: madeAt, sent_at: now };
    return { entries: [sent, ...rest], writes: [put(sent)], outcomes: [], order: null };
  }

  /** The next request; null: there is none, or one is in flight. */
  request() {
    if (this.#flight !== null || this.entries.length === 0) return null;
    this.#flight = requestOf(this.entries[0]);
    this.answered.sent();
    return this.#flight;
  }

  /** The request got no usable answer: send it again. */
  failed(request) {
    if (this.#flight === request) this.#flight = null;
  }

  /**
   * The effects of Core having done the first command, for `settle`.
   *
   * @param order the order after the command
   * @param repeated it was done at an earlier try, so the order may have changed since
   */
  applied(order, repeated = false) {
    const [first, ...rest] = this.entries;
    const writes = /** @type {object[]} */ ([drop(first.id)]);
    const entries = rest.map((entry) => {
      const isOfNew = entry.order === first.key;
      const isNext = entry.after === first.id;
      if (!isOfNew && !isNext) return entry;
      const later = { ...entry, order: isOfNew ? order.id : entry.order };
      if (isNext) Object.assign(later, versionOf(order), { after: null });
      writes.push(put(later));
      return later;
    });
    const outcomes = [[first, { outcome: "applied", order, problem: null }]];
    return { entries, writes, outcomes, order, repeated };
  }

  /**
   * The effects of Core having refused the first command, for `settle`.
   *
   * A transition that was refused because the order has changed is retried if the status is still the one that
   * the user saw. `accepted` is not retried: the user would accept content that they have not seen. A change is
   * not retried: it would undo the other change.
   *
   * @param why the problem
   * @param order the current order, if Core's answer has it; else null
   */
  refused(why, order) {
    const [first, ...rest] = this.entries;
    const mayFollow = first.kind === "transition" && first.body.to !== "accepted";
    const isAsSeen = order !== null && isOpen(order) && order.status === first.status;
    if (slugOf(why) !== "stale-version" || !mayFollow || !isAsSeen) return this.#given(why, order);
    const again = { ...first, ...versionOf(order) };
    return { entries: [again, ...rest], writes: [put(again)], outcomes: [], order };
  }

  /**
   * Applies the settlement, after it was stored.
   *
   * @param settlement the effects of the answer: {entries, outcomes, order, repeated}
   * @param keep whether the answer's order has not arrived through the log yet
   * @param listed whether the log contains the order, at an older version
   * @param epoch the answer's log; null: the answer does not name it
   */
  settle({ entries, outcomes, order, repeated = false }, keep, listed, epoch = /** @type {string | null} */ (null)) {
    this.entries = entries;
    this.#flight = null;
    for (const [command, outcome] of outcomes) this.#remember(command, outcome);
    if (order !== null && keep) this.answered.take(order, { repeated, listed, epoch });
  }

  // ── the rest ─────────────────────────────────────────────────────────────────────────────────

  #given(why, order) {
    const [first, ...rest] = this.entries;
    const gone = new Set([first.id]);
    const outcomes = [[first, { outcome: "refused", order, problem: why }]];
    const entries = [];
    for (const entry of rest) {
      if (entry.after === null || !gone.has(entry.after)) {
        entries.push(entry);
        continue;
      }
      gone.add(entry.id);
      outcomes.push([entry, { outcome: "refused", order, problem: problem("depends", DEPENDS) }]);
    }
    return { entries, writes: [...gone].map(drop), outcomes, order };
  }

  #remember(command, { outcome, order, problem: why }) {
    const name = shownAs(command);
    if (outcome === "applied") {
      remember(this.#ends, command.id, versionOf(order));
      this.#errors.delete(name);
      if (command.kind === "place") remember(this.#placed, command.key, order.id);
      return;
    }
    remember(this.#ends, command.id, null);
    const slug = slugOf(why);
    // The refusal that cancelled this command says more than "depends" does: keep its error.
    if (slug === "depends" && this.#errors.has(name)) return;
    remember(this.#errors, name, { slug, detail: why.detail || why.title, pointer: null });
  }
}
