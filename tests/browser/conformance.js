// Runs cases on the browser's module. Gives its answers in the form of the cases' `expect`.
//
// It does the same as tests/conformance/subject.py and machine_subject.py.

import { OrderBook } from "/static/yabam/client/order_book.js";
import * as contract from "/static/yabam/contract/contract.js";
import { Machine } from "/static/yabam/machine/machine.js";
import { modeOf } from "/static/yabam/machine/status.js";
import { Positions, changesOf } from "/static/yabam/machine/sequencing.js";
import { Assembly } from "/static/yabam/machine/snapshot_pages.js";
import { refusal } from "/static/yabam/transport/http_failures.js";
import { inputOf } from "/static/yabam/transport/stream_events.js";
import { SseParser } from "/static/yabam/contract/sse.js";
import { checkMixedSync } from "/static/yabam/contract/state/document.js";
import { answerCommands } from "/tests/commands_conformance.js";
import { STATE_SUBJECTS } from "/tests/state_conformance.js";

const REFUSED = { refused: true };

/** The module's answer to a case of the file `of`. */
export function answer(of, given) {
  try {
    return SUBJECTS[of](given);
  } catch (error) {
    if (error instanceof contract.ContractError) return REFUSED;
    return { raised: String(error?.stack ?? error) };
  }
}

const bytesOf = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const orderOf = ({ id, version, status, note }) => [id, version, status, note];
const failureOf = ({ kind, detail, retryAfter }) => ({ kind, detail, retry_after: retryAfter });

function changeOf(change) {
  if (change.type !== "reset") {
    return { event: change.id, order: [change.order_id, change.order_version] };
  }
  const { reason, channel, head } = change;
  return { reset: reason, channel, head, orders: change.orders.map((o) => [o.id, o.version]) };
}

const SUBJECTS = {
  sse({ bytes }) {
    const parser = new SseParser();
    const events = bytes.flatMap((piece) => parser.feed(bytesOf(piece)));
    return { events: events.map((e) => [e.type, e.data, e.lastEventId]), retry: parser.retry };
  },

  names({ what, text, cursor }) {
    if (what === "channel") return contract.parseChannel(text);
    if (what === "event id") return contract.parseEventId(text);
    return contract.formatCursor(Object.entries(cursor));
  },

  content({ text, orders }) {
    if (text !== undefined) return contract.canonical(JSON.parse(text));
    const hashes = orders.map((order) => contract.contentHash(JSON.parse(order)));
    if (hashes.includes(null)) return null;
    return contract.formatContentDigest(hashes.reduce((a, b) => a ^ b, 0n));
  },

  digest({ orders }) {
    const hashes = orders.map(([id, version]) => contract.orderHash(id, version));
    return contract.formatDigest(hashes.reduce((a, b) => a ^ b, 0n));
  },

  answers({ response }) {
    checkMixedSync(response);
    return "taken";
  },

  signals({ type, data }) {
    const input = inputOf(7, { type, data });
    if (input === null) return null;
    const { event, reconnectAfterMs, ...rest } = input;
    if (event !== undefined) rest.event = event.id;
    if (reconnectAfterMs !== undefined) rest.reconnect_after_ms = reconnectAfterMs;
    return rest;
  },

  refusals({ status, phrase, headers, body, unauthorized }) {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const response = { status, statusText: phrase, headers: new Headers(headers) };
    return failureOf(refusal(response, text, unauthorized));
  },

  paging({ pages: [first, ...further], sizes: [size, ...sizes] }) {
    const assembly = new Assembly(first, size);
    for (const [n, page] of further.entries()) {
      if (assembly.next === null) break;
      assembly.add(page, sizes[n % sizes.length]);
    }
    const whole = assembly.answer;
    const channels = whole.channels.map(({ channel, head, reset, snapshot, events }) => ({
      channel,
      head,
      reset,
      orders: snapshot ? snapshot.orders.map((order) => order.id) : null,
      events: events.map((event) => event.id),
    }));
    return { next: assembly.next, has_more: whole.has_more, channels };
  },

  merge({ positions, answer: part }) {
    const moved = new Positions(positions);
    const [changes, sound] = changesOf(moved, part);
    return { changes: changes.map(changeOf), sound, positions: moved.all };
  },

  book({ steps, channels }) {
    const book = new OrderBook();
    const told = steps.map((step) => {
      const changes = step.apply ? book.apply(step.apply) : book.replace(step.replace, step.orders);
      return changes.map((c) => [c.kind, c.channel, c.id, c.order?.version ?? null]);
    });
    const each = (give) => Object.fromEntries(channels.map((name) => [name, give(name)]));
    return {
      steps: told,
      orders: book.all().map(orderOf),
      found: book.all().map(({ id }) => orderOf(book.get(id))),
      in: each((name) => book.inChannel(name).map(orderOf)),
      digests: each((name) => book.digest(name)),
      contents: each((name) => book.contentDigest(name)),
    };
  },

  machine: askMachine,
  wake: askMachine,
  ...STATE_SUBJECTS,
  commands: answerCommands,
};

// ── the machine ────────────────────────────────────────────────────────────────────────────────

function askMachine({ positions, epoch, settings, chance, steps }) {
  let taken = 0;
  const uniform = (low, high) => low + (high - low) * chance[taken++ % chance.length];
  const machine = new Machine(positions, epoch, camelKeys(settings), uniform);
  let mode = "starting";
  const after = steps.map(({ input, now }) => {
    const commands = machine.handle(machineInput(input), now).map(commandOf);
    mode = modeOf(machine, mode);
    const { state } = machine;
    const deadline = machine.deadline === Infinity ? null : machine.deadline;
    return { commands, state, mode, deadline, certain_at: machine.freshness.certainAt };
  });
  return { steps: after, end: endOf(machine) };
}

function endOf({ positions, epoch, watermark, diverged, counters, lastFailure }) {
  const told = Object.entries(counters).filter(([, n]) => n > 0);
  return {
    positions: positions.all,
    epoch,
    watermark,
    diverged,
    counters: Object.fromEntries(told.map(([name, n]) => [snake(name), n])),
    last_failure: lastFailure && failureOf(lastFailure),
  };
}

function machineInput(told) {
  const input = camelKeys(told);
  if (input.response) input.response = contract.checkSync(input.response);
  if (input.event) input.event = contract.checkEvent(input.event);
  if (input.failure) input.failure = camelKeys(input.failure);
  if (input.watermark) input.watermark = contract.instant(input.watermark);
  return input;
}

function commandOf({ type, ...command }) {
  if (type === "Deliver") return { type, epoch: command.epoch, ...changeOf(command.change) };
  if (type === "Finished") {
    const { cause } = command;
    return { type, cause: cause?.kind ? failureOf(cause) : cause };
  }
  if (type === "StartSync") {
    const { newToken, ...rest } = command;
    return { type, new_token: newToken, ...rest };
  }
  if (type === "OpenStream" && command.via === "sse") {
    const { via: _, ...rest } = command;
    return { type, ...rest };
  }
  if (type === "CheckDigest") {
    const { contentDigest, ...rest } = command;
    return contentDigest === null ? { type, ...rest } : { type, ...rest, content_digest: contentDigest };
  }
  return { type, ...command };
}

const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

function camelKeys(object) {
  const camel = (name) => name.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [camel(name), value]));
}
