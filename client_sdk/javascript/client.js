// The thin shell around the machine: one timer, one sync and one stream at a time, and the book.
//
// As client_sdk/client/runner.py and async_client.py. The machine's changes are applied to the book at once;
// both are stored together, so that a restart continues exactly where it stopped.

import { OrderBook } from "./client/order_book.js";
import { ContractError, carriesDocuments, channelOf, checkOrder, parseChannel } from "./contract/contract.js";
import { DEVICE_MODES } from "./contract/contract_lists.js";
import { Machine } from "./machine/machine.js";
import { goesOn } from "./machine/sequencing.js";
import { modeOf } from "./machine/status.js";
import { ReceiptSender } from "./client/receipts.js";
import { StoredState } from "./client/stored_state.js";
import { MAX_CHANNELS } from "./transport.js";
/** @import { Command, Input } from "./machine/messages.js" */

const FORMAT = 1;
const LONGEST_TIMER_MS = 60_000;

/**
 * @typedef {object} ClientOptions
 * @property {string[]} channels their names, at most MAX_CHANNELS
 * @property {import("./transport.js").Transport} transport
 * @property {any} [saved] an earlier value of `state`, or null to start from a snapshot
 * @property {{[name: string]: number}} [settings] those of SETTINGS in contract_lists.js that differ
 * @property {(news: {changes: import("./types.js").OrderChange[], status: import("./types.js").Status}) => void} changed
 *   called after each input; if it throws, the client ends
 * @property {() => number} clock returns monotonic seconds, if possible including sleep
 * @property {(low: number, high: number) => number} uniform a random number, uniform between the two
 * @property {any} [documents] takes the changes of the channels of documents: `take(command)`, `booked(changes,
 *   epoch, anew)` after each change of the book (`{channel, sameLog}` if a channel was reset), `online()`, and
 *   `release()` when this is closed, as TabState; null: only orders are followed
 */

/** Follows channels until closed. */
export class Client {
  /** The current orders. */
  book = new OrderBook();
  #machine;
  #transport;
  #changed;
  #clock;
  #mode = /** @type {import("./types.js").Mode} */ ("starting");
  #certainBefore = /** @type {number | null} */ (null);
  /** The epoch of the last change of the book; null: there was none. */
  #log;
  #documents;
  #wasAnswered = false;
  #running = /** @type {{[name: string]: AbortController | null}} */ ({ sync: null, stream: null });
  #timer = /** @type {number | undefined} */ (undefined);
  #timerAt = Infinity;
  #cause = /** @type {{kind: string, detail: string} | null} */ (null);
  #receipts;
  #stored;

  /**
   * @param {ClientOptions} options
   * @throws {ContractError} a channel's name is malformed, or there are too many
   */
  constructor({ channels, transport, saved = null, settings = {}, changed, clock, uniform, documents = null }) {
    channels.forEach(parseChannel);
    if (documents === null && channels.some(carriesDocuments)) {
      throw new ContractError("this client follows orders only");
    }
    if (channels.length > MAX_CHANNELS) throw new ContractError("these are too many channels");
    const usable = usableState(saved, channels);
    const positions = usable?.positions ?? Object.fromEntries(channels.map((c) => [c, null]));
    this.#machine = new Machine(positions, usable?.epoch ?? null, settings, uniform);
    for (const [channel, orders] of Object.entries(usable?.orders ?? {})) {
      this.book.replace(channel, orders);
    }
    this.#stored = new StoredState(this.book, channels);
    this.#log = usable?.epoch ?? null;
    this.#certainBefore = usable?.certainAt ?? null;
    this.#transport = transport;
    this.#changed = changed;
    this.#clock = clock;
    this.#documents = documents;
    this.#receipts = new ReceiptSender((news) => transport.receipts(news));
  }

  /** How it receives events. */
  get mode() {
    return this.#mode;
  }

  /** How many channels begin anew because their orders had another digest. */
  get diverged() {
    return this.#machine.diverged;
  }

  /**
   * The value of Yabam-Device for a device of this name.
   *
   * @param {string} device its name within its store, such as `till-1`
   */
  report(device) {
    const mode = DEVICE_MODES.includes(this.#mode) ? this.#mode : "starting";
    const diverged = this.diverged > 0 ? `; diverged=${this.diverged}` : "";
    return `${device}; mode=${mode}; pending=0${diverged}`;
  }

  /**
   * The client's status for a page; times in milliseconds since 1970.
   *
   * @returns {import("./types.js").Status}
   */
  get status() {
    const { state, lastFailure, counters } = this.#machine;
    return {
      mode: this.#mode,
      // What carries the events while it is live: "sse" or "websocket".
      via: this.#mode === "live" ? this.#machine.via : null,
      state,
      certainAt: this.#certainAt,
      lastError: lastFailure?.detail ?? null,
      cause: this.#cause,
      positions: this.#machine.positions.known,
      counters: { ...counters },
    };
  }

  /**
   * What to store, as JSON, so that another client continues from here. Its `positions` and its `orders` are the same
   * objects until they change.
   *
   * @returns {any}
   */
  get state() {
    const { positions, epoch } = this.#machine;
    return { format: FORMAT, epoch, ...this.#stored.at(positions.all), certainAt: this.#certainAt };
  }

  get #certainAt() {
    const { certainAt } = this.#machine.freshness;
    return certainAt === null ? this.#certainBefore : Date.now() - (this.#clock() - certainAt) * 1000;
  }

  /**
   * The orders' positions in Core's log; a channel without a position starts with a snapshot.
   *
   * @returns {{epoch: string | null, positions: {[channel: string]: number | null}}}
   */
  get log() {
    const { positions, epoch } = this.#machine;
    return { epoch, positions: positions.all };
  }

  start() {
    this.#feed({ type: "Start" });
  }

  /** To be called when the device slept or the network is back: retries at once. */
  wake() {
    // After a sleep it is not certain that the stream still works.
    if (this.#mode === "live") this.#mode = "polling";
    this.#feed({ type: "Wake" });
  }

  /** Does what is due; for a page whose timers the browser delays. */
  tick() {
    if (this.#clock() >= this.#machine.deadline) this.#feed({ type: "Tick" });
  }

  /**
   * Core's clock in seconds since 1970; null: not known.
   *
   * @returns {number | null}
   */
  get coreTime() {
    return this.#machine.freshness.coreTime(this.#clock());
  }

  /**
   * The documents of the channel have another digest than Core's.
   *
   * @param {string} channel its full name
   */
  differs(channel) {
    // The machine is still processing an input.
    queueMicrotask(() => this.#feed({ type: "Diverged", channel }));
  }

  /** Ends it for good; the state can still be read. */
  close() {
    this.#receipts.stop();
    this.#feed({ type: "Close" });
    this.#documents?.release();
  }

  /** @param {Input} input */
  #feed(input) {
    const changes = [];
    try {
      // A check of the digest may pass a further input to the machine.
      const inputs = [input];
      for (const next of inputs) this.#handle(next, changes, inputs);
    } catch (error) {
      this.#handle({ type: "GiveUp", cause: error }, changes, []);
    }
    this.#tell(changes);
  }

  /** @type {(input: Input, changes: any[], inputs: Input[]) => void} */
  #handle(input, changes, inputs) {
    for (const command of this.#machine.handle(input, this.#clock())) {
      this.#do(command, changes, inputs);
    }
  }

  #tell(changes) {
    this.#mode = modeOf(this.#machine, this.#mode);
    this.#setTimer();
    const isAnswered = this.#machine.freshness.certainAt !== null && !this.#machine.failing;
    if (isAnswered && !this.#wasAnswered) this.#documents?.online();
    this.#wasAnswered = isAnswered;
    this.#acknowledge(changes);
    try {
      this.#changed({ changes, status: this.status });
    } catch (error) {
      // Report it as an error of the page; only once, so that a bug does not loop.
      reportError(error);
      if (this.#mode !== "failed" && this.#mode !== "closed") {
        this.#handle({ type: "GiveUp", cause: error }, [], []);
        this.#tell([]);
      }
    }
  }

  /** The book's changes are applied: reports this to Core. */
  #acknowledge(changes) {
    const { positions, epoch } = this.#machine;
    if (changes.length === 0 || epoch === null) return;
    this.#receipts.applied({ positions: positions.known, epoch });
  }

  /** @type {(command: Command, changes: any[], inputs: Input[]) => void} */
  #do(command, changes, inputs) {
    switch (command.type) {
      case "StartSync":
        this.#run("sync", async (signal) => {
          const input = await this.#transport.sync(command, signal);
          if (!signal.aborted) this.#feed(input);
        });
        break;
      case "OpenStream":
        this.#run("stream", (signal) =>
          this.#transport.stream(command, signal, (input) => {
            if (!signal.aborted) this.#feed(input);
          }),
        );
        break;
      case "CancelSync":
        this.#cancel("sync");
        break;
      case "CloseStream":
        this.#cancel("stream");
        break;
      case "Deliver":
        changes.push(...this.#booked(command));
        break;
      case "CheckDigest":
        if (!this.#agrees(command)) {
          inputs.push({ type: "Diverged", channel: command.channel });
        }
        break;
      case "DeliverDocument":
      case "CheckDocuments":
        this.#documents?.take(command);
        break;
      case "Finished":
        this.#cause = causeOf(command.cause);
        break;
      default:
        throw new Error(`the machine said ${/** @satisfies {never} */ (command)}`);
    }
  }

  #agrees({ channel, digest, contentDigest }) {
    if (this.book.digest(channel) !== digest) return false;
    const content = this.book.contentDigest(channel);
    return content === null || contentDigest === null || content === contentDigest;
  }

  #booked({ change, epoch }) {
    const changes = this.#take(change);
    const sameLog = goesOn(change, this.#log, epoch);
    this.#log = epoch;
    this.#documents?.booked(changes, epoch, change.type === "reset" ? { channel: change.channel, sameLog } : null);
    return changes;
  }

  #take(change) {
    this.#stored.touch(change.type === "reset" ? change.channel : channelOf(change));
    if (change.type === "reset") return this.book.replace(change.channel, change.orders);
    return this.book.apply(change);
  }

  #run(name, work) {
    this.#cancel(name);
    const controller = new AbortController();
    this.#running[name] = controller;
    work(controller.signal).catch((error) => this.#feed({ type: "GiveUp", cause: error }));
  }

  #cancel(name) {
    this.#running[name]?.abort();
    this.#running[name] = null;
  }

  #setTimer() {
    const { deadline } = this.#machine;
    if (deadline === this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = deadline;
    if (deadline === Infinity) return;
    const delay = Math.min(Math.max(0, (deadline - this.#clock()) * 1000), LONGEST_TIMER_MS);
    this.#timer = setTimeout(() => {
      this.#timerAt = Infinity;
      this.#feed({ type: "Tick" });
    }, delay);
  }
}

/** Why it ended, as a plain value for other tabs: {kind, detail}, or null after a close. */
function causeOf(cause) {
  if (cause === null) return null;
  if (cause.kind) return { kind: cause.kind, detail: cause.detail };
  return { kind: "consumer", detail: String(cause) };
}

/** The stored state if it is valid and of these channels, else null: then a snapshot is fetched. */
function usableState(saved, channels) {
  try {
    if (saved?.format !== FORMAT || typeof saved.epoch !== "string") return null;
    const names = Object.keys(saved.positions).sort().join();
    if (names !== [...channels].sort().join()) return null;
    for (const [channel, seq] of Object.entries(saved.positions)) {
      // A channel without a position gets a snapshot; its stored orders are shown until then.
      if (seq !== null && !Number.isSafeInteger(seq)) return null;
      saved.orders[channel].forEach(checkOrder);
    }
    return saved;
  } catch (error) {
    if (error instanceof ContractError || error instanceof TypeError) return null;
    throw error;
  }
}
