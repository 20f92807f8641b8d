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
// transitions.js is the table of what counts in which state, rules.js what each input leads to,
// actions.js what can be done.

import { Actions, NEVER } from "./actions.js";
import * as rules from "./rules.js";
import { COUNTS } from "./transitions.js";

/** The rule of each input. */
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

/**
 * The machine of one client.
 *
 * @param positions as {channel: the seq it goes on from, or null to start anew}
 * @param epoch the epoch of those seqs, or null
 * @param settings those of SETTINGS that differ
 * @param uniform (low, high) → a random number evenly between
 */
export class Machine {
  #client;

  constructor(positions, epoch, settings, uniform) {
    this.#client = new Actions(positions, epoch, settings, uniform);
  }

  /** Takes one input at `now` (seconds; a clock that goes back stands still). Returns what to do. */
  handle(input, now) {
    const client = this.#client;
    const at = client.begin(now);
    if (COUNTS[input.type].has(client.state)) RULES[input.type](client, input, at);
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

  /** The newest failure {kind, detail, retryAfter}, or null. */
  get lastFailure() {
    return this.#client.lastFailure;
  }

  /** All that Core committed before it has been received, while live; seconds since 1970. */
  get watermark() {
    return this.#client.watermark;
  }

  /** When (by the `now` of handle) it was last certain to know everything, or null. */
  get certainAt() {
    return this.#client.certainAt;
  }

  /** Core's clock at `now`, in seconds since 1970; null: not known. */
  coreTime(now) {
    return this.#client.clock.at(now);
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

/**
 * How the client receives events, for a lamp: starting, live, polling, offline, closed or failed; `before`
 * is the mode of the last time. As client_sdk/machine/status.py.
 */
export function modeOf(machine, before) {
  const { state } = machine;
  if (state === "idle") return "starting";
  if (state === "closed" || state === "failed" || state === "live") return state;
  if (machine.failing) return "offline";
  if (machine.certainAt === null) return "starting";
  if (state === "polling") return "polling";
  // Between two streams, as planned: the lamp does not flicker.
  return before === "offline" ? "polling" : before;
}
