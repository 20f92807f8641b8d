// The client's state machine, sans-I/O: inputs in, commands out; time and chance are passed in.
//
// It is client_sdk/machine/machine.py in JavaScript, rule for rule, and tests/conformance holds both to the
// same answers. What Python's has beyond it:
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
// Syncs and streams carry a generation: what comes from an older one is ignored. Every way back has
// a guard, so that no mistake of a server becomes a tight loop: a failure, a gap, a sync-required and
// a wrong digest come with back-off, a page must bring something, a stream that brought nothing new
// and ends at once has failed, channels that begin anew again and again are a fault, and what a
// server says about waiting is kept within bounds.

import { Conduct, LONG_FAULT } from "./actions.js";
import { APPLY, GAP } from "./sequencing.js";
import { failure } from "./messages.js";
import { IGNORE, TABLE } from "./transitions.js";

/** The longest that a `bye` can keep a client away, in seconds. */
const MOST_RECONNECT = 60;
/** The bounds of `poll_after_ms`, in seconds, whatever Core says. */
const LEAST_POLL = 0.1;
const MOST_POLL = 300;
/** A sync that began less than so many seconds before a Wake is left to its end. */
const FRESH_SYNC = 1;

const clamp = (x, least, most) => Math.min(Math.max(x, least), most);

/** The machine of one client: which input leads to what. Made like Conduct. */
export class Machine extends Conduct {
  /** Takes one input at `now` (seconds; a clock that goes back stands still); what to do. */
  handle(input, now) {
    this._now = Math.max(now, this._now);
    this._out = [];
    const rule = TABLE[input.type][this.state];
    if (rule !== IGNORE) this.#rules[rule](input, this._now);
    return this._out;
  }

  #rules = {
    // idle → syncing: always sync before anything else.
    start: (_input, now) => this._goSync(now, 0),

    // Take the answer in; then connect, poll on, or ask for more.
    syncDone: (input, now) => {
      if (!this._sync.isCurrent(input.generation)) return;
      const { response } = input;
      this._sync.end();
      const taken = this._intake.take(response);
      this._putOut(taken);
      let { fault } = taken;
      if (taken.restarted && this._restarts.tooMany(now)) {
        fault ??= "channels begin anew again and again";
      }
      if (fault !== null) {
        this._syncHasFailed(failure("malformed", fault), now);
        return;
      }
      if (this._syncBackoff.failures >= LONG_FAULT) {
        // What broke the syncs broke the streams, too: their back-off must not come on top.
        this._streamBackoff.forget();
        this._tryStreamNow(now);
      }
      this._syncBackoff.forget();
      this._needsToken = false;
      this._woken = false;
      this._pollAfter = clamp(response.poll_after_ms / 1000, LEAST_POLL, MOST_POLL);
      if (response.has_more) {
        this._syncNow(now);
        return;
      }
      this.certainAt = now;
      if (this.state === "polling") {
        this._polled(response, taken.news, now);
      } else if (!response.stream) {
        this._goPoll(now, this._streamBackoff.failed(now));
      } else {
        this.state = "connecting";
        this._openStream(response, now);
      }
    },

    // Try again later; a refused token is replaced once, a refusal for good ends it.
    syncFailed: (input, now) => {
      if (!this._sync.isCurrent(input.generation)) return;
      this._sync.end();
      this._syncHasFailed(input.failure, now);
    },

    // connecting → live; beside polling the stream must still prove itself by a sync.
    hello: (input, now) => {
      if (!this._stream.isCurrent(input.generation) || this._stream.helloAt !== null) return;
      if (input.epoch !== this.epoch) {
        this._dropStream();
        const why = "the stream is of another epoch than the last sync";
        this._streamHasFailed(failure("malformed", why), now);
        return;
      }
      this._stream.helloAt = now;
      this._stream.deadline = now + this._settings.watermarkTimeout;
      this.watermark = input.watermark;
      if (this.state === "connecting") {
        this._goLive(now);
      } else {
        // What was begun before the hello proves nothing; a waiting poll would hold us up.
        this._cancelSync();
        this._syncNow(now);
      }
    },

    // n+1 on top of n; a duplicate is dropped; a gap leads to a sync.
    event: (input, now) => {
      if (!this.#hasHello(input.generation)) return;
      const verdict = this._intake.takeEvent(input.event);
      if (verdict === APPLY) {
        this._stream.events += 1;
        this._out.push({ type: "Deliver", change: input.event, epoch: this.epoch });
      } else if (verdict === GAP) {
        this._dropStream();
        this._syncAgain(failure("malformed", "the stream left a gap"), now);
      }
    },

    // A watermark that moves proves the stream; one that stands still does not.
    heartbeat: (input, now) => {
      if (!this.#hasHello(input.generation)) return;
      if (this.watermark !== null && input.watermark <= this.watermark) return;
      this.watermark = input.watermark;
      this._stream.deadline = now + this._settings.watermarkTimeout;
      if (this.state === "live") this.certainAt = now;
    },

    // Sync, then connect.
    syncRequired: (input, now) => {
      if (!this._stream.isCurrent(input.generation)) return;
      this._dropStream();
      const why = `the server says sync-required: ${input.reason}`;
      this._syncAgain(failure("unreachable", why), now);
    },

    // The planned end: sync and connect again, spread by the server's word.
    bye: (input, now) => {
      if (!this._stream.isCurrent(input.generation)) return;
      const tooShort = this._stream.wasTooShort(now, this._settings.shortStream);
      this._dropStream();
      const after = clamp(input.reconnectAfterMs / 1000, 0, MOST_RECONNECT);
      if (input.reason === "degraded") {
        this.lastFailure = failure("busy", "the server says bye: degraded");
        this._keptAwayUntil = now + after;
        this._goPoll(now, Math.max(after, this._streamBackoff.failed(now)));
      } else if (tooShort) {
        const why = `the stream ended at once: bye ${input.reason}`;
        this._streamHasFailed(failure("unreachable", why), now);
      } else if (this.state === "polling") {
        this._goPoll(now, after);
      } else {
        this._goSync(now, after);
      }
    },

    // The stream broke or could not be had.
    ended: (input, now) => {
      if (!this._stream.isCurrent(input.generation)) return;
      this._stream.end();
      if (input.failure.kind === "ticket") this._syncAgain(input.failure, now);
      else this._streamHasFailed(input.failure, now);
    },

    // A deadline came: a sync is due or overdue, or the stream is silent.
    tick: (_input, now) => {
      if (now >= this._sync.deadline) {
        this._cancelSync();
        this._syncHasFailed(failure("unreachable", "the sync was not answered"), now);
      }
      if (now >= this._stream.deadline) {
        const saidHello = this._stream.helloAt !== null;
        this._dropStream();
        if (saidHello) {
          this.lastFailure = failure("unreachable", "the watermark stands still");
          this.counters.streamFailures += 1;
          this._goPoll(now, this._streamBackoff.failed(now));
        } else {
          const why = "the stream did not say hello in time";
          this._streamHasFailed(failure("unreachable", why), now);
        }
      }
      if (now >= this._sync.dueAt) this._syncNow(now);
    },

    // What was open before a sleep may be dead without knowing it, and what waits need not.
    wake: (_input, now) => {
      this._dropStream();
      // A browser may say it several times in a row; that must not keep a sync from its end.
      if (now - this._sync.beganAt >= FRESH_SYNC) this._cancelSync();
      this._tryStreamNow(now);
      this._woken = true;
      this._goSync(now, 0);
    },

    // The book is wrong: take a snapshot; with back-off if that does not help.
    diverge: (input, now) => {
      const { channel } = input;
      this.lastFailure = failure("malformed", `${channel} differs from Core's digest`);
      // Should a snapshot not help, the next one waits; all else goes on meanwhile.
      if (!this._intake.diverge(channel, this._healing.mayBegin(channel, now))) return;
      this._healing.began(channel, now);
      this._dropStream();
      this._cancelSync();
      this._goSync(now, 0);
    },

    // any → failed.
    giveUp: (input) => {
      this.lastFailure = failure("consumer", String(input.cause));
      this._end("failed", input.cause);
    },

    // any → closed.
    close: () => this._end("closed", null),
  };

  #hasHello(generation) {
    return this._stream.isCurrent(generation) && this._stream.helloAt !== null;
  }
}

/**
 * How the client is fed, for a lamp: starting, live, polling, offline, closed or failed; `before`
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
