// The client's state machine, sans-I/O: inputs in, commands out; time and chance are passed in.
//
// It is client_sdk/machine/machine.py in JavaScript, rule for rule, and tests/conformance holds both
// to the same answers. What Python's has beyond it:
//   - pressure (Acknowledged, pause): here the book takes a change at once, so nothing piles up;
//   - filling the book after a restart: here book and cursor are stored together;
//   - the lag behind Core's clock, which a page does not show.
// What it has beyond Python's: Wake, since a browser hears that it slept or the network came back.
//
//   IDLE → SYNCING → CONNECTING → LIVE ⟲ (bye, gap, sync-required, end → SYNCING)
//        n failures, bye degraded, 503, a watermark that stands still → POLLING
//   POLLING syncs on and on; a stream is tried beside it, and only when it has said hello and a
//   sync begun after that is done does the machine go LIVE
//   any → CLOSED (Close) · FAILED (no permission, or a bug)
//
// inputs_by_state.js is the table of what counts in which state, sync_connect_or_poll.js what each input leads to,
// actions.js what can be done.

import { Actions } from "./actions.js";
import * as rules from "./sync_connect_or_poll.js";
import { NEVER } from "./tracks.js";
import { COUNTS } from "./inputs_by_state.js";

/** @import { Input, Inputs } from "./messages.js" */
/** @import { Settings } from "../contract/contract_lists.js" */

/** @type {{[K in Input["type"]]: rules.Rule<K>}} */
const RULES = {
  Start: rules.start,
  SyncDone: rules.syncDone,
  SyncFailed: rules.syncFailed,
  StreamHello: rules.hello,
  StreamEvent: rules.event,
  StreamDocument: rules.event,
  StreamHeartbeat: rules.heartbeat,
  StreamSyncRequired: rules.syncRequired,
  StreamBye: rules.bye,
  StreamEnded: rules.ended,
  Tick: rules.tick,
  Wake: rules.wake,
  Diverged: rules.diverge,
  GiveUp: rules.giveUp,
  Close: rules.close,
};

/** The machine of one client. */
export class Machine {
  #client;

  /**
   * @param {{[channel: string]: number | null}} positions the seq each goes on from, or null to start anew
   * @param {string | null} epoch of those seqs
   * @param {Partial<Settings>} settings those of SETTINGS that differ
   * @param {(low: number, high: number) => number} uniform a random number evenly between two
   */
  constructor(positions, epoch, settings, uniform) {
    this.#client = new Actions(positions, epoch, settings, uniform);
  }

  /**
   * Takes one input. Returns what to do, in this order.
   *
   * @param {Input} input what has happened
   * @param {number} now seconds; a clock that goes back stands still
   */
  handle(input, now) {
    const client = this.#client;
    const at = client.begin(now);
    if (COUNTS[input.type].has(client.state)) apply(client, input.type, input, at);
    return client.out;
  }

  /** Where it stands. */
  get state() {
    return this.#client.state;
  }

  /** What has been taken in. */
  get positions() {
    return this.#client.positions;
  }

  /** The epoch of the positions. */
  get epoch() {
    return this.#client.epoch;
  }

  /** What happened so far. */
  get counters() {
    return this.#client.counters;
  }

  /** The newest failure, or null. */
  get lastFailure() {
    return this.#client.lastFailure;
  }

  /** All that Core committed before it has been received, while live; seconds since 1970. */
  get watermark() {
    return this.#client.watermark;
  }

  /** Core's clock, and when Core's log was last known in full. */
  get freshness() {
    return this.#client.freshness;
  }

  /** How many channels begin anew because their orders had another digest. */
  get diverged() {
    return this.#client.syncState.diverged;
  }

  /** Whether the last sync failed: the client cannot know what it misses. */
  get failing() {
    return this.#client.failing;
  }

  /** What carried the last stream that said hello: "sse" or "websocket". */
  get via() {
    return this.#client.carriedBy;
  }

  /** When the machine wants a Tick; Infinity: not at all. */
  get deadline() {
    const { state, sync, stream } = this.#client;
    if (state === "closed" || state === "failed") return NEVER;
    return Math.min(sync.dueAt, sync.deadline, stream.deadline);
  }
}

/** @type {<K extends Input["type"]>(client: Actions, type: K, input: Inputs[K], now: number) => void} */
const apply = (client, type, input, now) => RULES[type](client, input, now);
