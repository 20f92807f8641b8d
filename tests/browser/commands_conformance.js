// Runs cases on the browser's queue of order commands, as tests/conformance/commands_subject.py does.

import { checkOrder, isOpen } from "/static/yabam/contract/contract.js";
import { slugOf } from "/static/yabam/transport/http_failures.js";
import { CommandQueue } from "/static/yabam/state/orders/command_queue.js";
import { StateError } from "/static/yabam/contract/state/errors.js";
import { MemoryStore } from "/static/yabam/state/memory_store.js";
import { checkCommand } from "/static/yabam/state/orders/commands.js";
import { newest, shownAs, shownOrder, shownOrders } from "/static/yabam/state/orders/view.js";

const TIME = "2026-11-21T12:00:00Z";
/** The fields that a case leaves out of an order, the same as ORDER in tests/conformance/cases.py. */
const ORDER = {
  id: "a",
  store_id: "12",
  table_id: "5",
  status: "placed",
  version: 1,
  currency: "KRW",
  items: [{ name: "Bibimbap", quantity: 1, unit_price: 9500, note: "" }],
  total: 9500,
  note: "",
  reference: null,
  reason: null,
  created_at: TIME,
  updated_at: TIME,
};
const FOLLOWED = ["store:12", "table:12/5"];
const orderOf = (told) => checkOrder({ ...ORDER, ...told });

/** The queue's answers to a whole schedule. */
export function answerCommands({ steps }) {
  const subject = new CommandsSubject();
  return steps.map((step) => subject.step(step));
}

class CommandsSubject {
  #store = new MemoryStore();
  #place = 0;
  #book = [];
  #flight = null;
  #seen = [];
  #outcomes = [];
  #queue = this.#opened();

  step(step) {
    const inputs = this.#inputs();
    const [kind] = Object.keys(step).filter((name) => Object.hasOwn(inputs, name));
    this.#outcomes = [];
    let result;
    try {
      result = inputs[kind](step[kind], step) ?? null;
    } catch (error) {
      if (!(error instanceof StateError)) throw error;
      result = "refused";
    }
    const { own } = this.#queue;
    const shown = shownOrders(this.#book, own);
    this.#seen.push(new Map(shown.map((one) => [one.order.id, one])));
    const errors = Object.entries(own.errors).map(([id, { slug }]) => [id, slug]);
    return {
      result,
      outcomes: this.#outcomes,
      shown: shown.map(told),
      errors: Object.fromEntries(errors),
      known: Object.keys(own.known).sort(),
      ahead: Object.keys(own.ahead).sort(),
      kept: this.#store.openNow("a").commands,
    };
  }

  #inputs() {
    const queue = this.#queue;
    return {
      book: (orders) => {
        this.#book = orders.map(orderOf);
      },
      contained: ([id, version]) => queue.answered.contained(id, version),
      reset: (channel, { same_log: sameLog = true, log = queue.answered.log }) =>
        queue.answered.reset(channel, this.#listed, log, sameLog),
      follow: (log) => queue.answered.follow(log),
      make: (made, step) => this.#make(made, step),
      begin: (now) => {
        const settlement = queue.first === null ? null : queue.beforeSending(now);
        return settlement === null ? null : this.#settle(settlement, {});
      },
      send: () => this.#send(),
      applied: (order, step) => this.#settle(queue.applied(orderOf(order), step.repeated), step),
      refused: ({ problem, order = null }, step) =>
        this.#settle(queue.refused(problem, order && orderOf(order)), step),
      kept: (command) => {
        this.#store.writeNow([{ type: "PutCommand", command }]);
        this.#place = Math.max(this.#place, command.id);
        this.#queue = this.#opened();
      },
      failed: () => this.#flight && queue.failed(this.#flight),
      restart: () => {
        this.#queue = this.#opened();
        this.#flight = null;
      },
    };
  }

  get #listed() {
    return Object.fromEntries(this.#book.map(({ id, version }) => [id, version]));
  }

  #opened() {
    return new CommandQueue(this.#store.openNow("a").commands.map(checkCommand), {}, FOLLOWED);
  }

  #make({ kind, body, order: name = null }, { seen, made_at: madeAt = null }) {
    let wish = { kind, body };
    if (name !== null) {
      const found = seen === undefined ? this.#look(name) : (this.#seen[seen].get(name) ?? null);
      if (found === null) return null;
      const { id, version, updated_at: updatedAt, status } = found.order;
      wish = { kind, body, order: id, version, updatedAt, status, after: found.after };
    }
    const command = this.#queue.prepare(wish, this.#place + 1, "c1", madeAt);
    this.#place += 1;
    this.#store.writeNow([{ type: "PutCommand", command }]);
    this.#queue.accept(command);
    return shownAs(command);
  }

  #look(name) {
    const { own } = this.#queue;
    const named = this.#queue.idOf(name);
    const core = newest(this.#book.filter(({ id }) => id === named), own);
    return shownOrder(core.get(named) ?? null, named, own);
  }

  #send() {
    const request = this.#queue.request();
    if (request === null) return null;
    this.#flight = request;
    const { id, method, path, key, version, updatedAt, body } = request;
    return [id, method, path, key, version, updatedAt, JSON.parse(body)];
  }

  #settle(settlement, { keep = true, epoch = null }) {
    this.#store.writeNow(settlement.writes);
    this.#queue.settle(settlement, keep, settlement.order?.id in this.#listed, epoch);
    for (const [{ id }, { outcome, problem }] of settlement.outcomes) {
      this.#outcomes.push([id, outcome, problem && slugOf(problem), problem && problem.detail]);
    }
    return "settled";
  }
}

function told({ order, pending, leftOut, error, after }) {
  const { id, status, version, total, note, reason, items } = order;
  return {
    order: [id, status, version, total, note, reason, isOpen(order)],
    items: items.map((one) => [one.name, one.quantity, one.unit_price, one.note]),
    pending,
    left_out: leftOut,
    error: error && [error.slug, error.detail],
    after,
  };
}
