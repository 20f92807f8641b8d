// The queue of commands to orders: requests, answers, what is given up because of a refusal. Pure.
//
// As client_sdk/state/orders/command_queue.py. Commands go out one at a time, in order. One that was made on
// another is sent once that is answered, at the version that it left; if that was refused, so is this. A
// refusal never holds up the rest.
//
// What changes the queue is first made as a settlement, {entries, writes, outcomes, order, repeated}, and comes to
// hold when that is kept: so nobody is told of a refusal that a crash could forget, after which the same
// command might be taken. Nothing else may change the queue meanwhile.

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
/** What a command says of the version that it rests on. */
const versionOf = ({ version, updated_at }) => ({ version, updated_at });
const since = (from, now) => (Date.parse(now) - Date.parse(from)) / 1000;

/** The commands of one client that are not answered. */
export class CommandQueue {
  /** What answers say of orders beside the log. */
  answered;
  #placed;
  #ends = new Map();
  #errors;
  #flight = /** @type {any} */ (null);

  /**
   * @param entries they, in order
   * @param own what else was known, as `own` has it; `aheadLog`: the epoch of the log of `ahead`
   * @param followed the channels of orders
   * @param log the log of the orders that are shown, by its epoch; "": there are none yet
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

  /** What this client knows of orders beside Core's log, as order_view.js has it. */
  get own() {
    const maps = [this.answered.known, this.answered.ahead, this.#errors, this.#placed];
    const [known, ahead, errors, placed] = maps.map((map) => Object.fromEntries(map));
    return { entries: this.entries, known, ahead, errors, placed };
  }

  /** The place of the first command; null: none waits. */
  get first() {
    return this.entries[0]?.id ?? null;
  }

  /** The id of an order, also by the key that it was shown under before it was placed. */
  idOf(order) {
    return this.#placed.get(order) ?? order;
  }

  // ── new commands ─────────────────────────────────────────────────────────────────────────────

  /**
   * Makes a command; it waits only when it is accepted.
   *
   * @param wish what a program asks for: {kind, body, order, version, updatedAt, status, after}; the order by
   *   the id that it is shown under (null: a new one), and what was seen of it
   * @param place its place in the queue
   * @param client the client id that edits go out under
   * @param madeAt by Core's clock; null: not known
   * @throws StateError it is malformed or too large, too many wait, or what it was made on was refused
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
    // It was answered since its author looked.
    const end = this.#ends.get(after) ?? null;
    if (end === null) throw new StateError("the previous command was refused: read the order again");
    return { ...command, ...end };
  }

  /** It is kept: it waits from now on. */
  accept(command) {
    this.entries = [...this.entries, command];
    this.#errors.delete(shownAs(command));
  }

  // ── requests and answers ─────────────────────────────────────────────────────────────────────

  /** What is to be kept before the first command goes out; null: nothing. `now` is by Core's clock. */
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

  /** What to send now; null: nothing, or one is under way. */
  request() {
    if (this.#flight !== null || this.entries.length === 0) return null;
    this.#flight = requestOf(this.entries[0]);
    this.answered.sent();
    return this.#flight;
  }

  /** Nobody knows what became of it: send it again. */
  failed(request) {
    if (this.#flight === request) this.#flight = null;
  }

  /**
   * What follows when Core has done the first command; `settle` carries it out.
   *
   * @param order as it stood then
   * @param repeated it was done at an earlier try, so the order may have gone on since
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
   * What follows when Core has refused the first command, for this problem; `settle` carries it out.
   *
   * A step that was refused because the order has changed is tried again if the order's status is the one
   * that its author saw, except that nobody accepts what was changed meanwhile. A change would undo the
   * other's, so it is not tried again.
   *
   * @param order as it stands, if Core says; else null
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
   * It is kept: it holds from now on.
   *
   * @param keep whether the log has still to bring the order as the answer has it
   * @param listed whether the log has brought the order, at an older version
   * @param epoch the log that the answer is of; null: it does not say
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
    // What was given up because of another refusal says nothing that this does not say.
    if (slug === "depends" && this.#errors.has(name)) return;
    remember(this.#errors, name, { slug, detail: why.detail || why.title, pointer: null });
  }
}
