// What the machine can do: start and end syncs and streams, poll, end. Pure.
//
// machine.js decides when. As client_sdk/machine/actions.py and attempts.py. What begins with _ is the
// machine's own.

import { Intake } from "./sync_state.js";
import { Healing } from "./healing.js";
import { Backoff, Restarts, SETTINGS } from "./backoff.js";

export const NEVER = Infinity;
/** Long polls that bring something follow each other after a random part of this, in seconds. */
const LONG_POLL_GAP = 0.2;
/** After so many failed syncs in a row the next good one makes the stream's failures old news. */
export const LONG_FAULT = 3;

/** The sync under way, if there is one, and when the next is due. */
class SyncTrack {
  generation = 0;
  active = false;
  newToken = false;
  wait = 0;
  beganAt = 0;
  deadline = NEVER;
  dueAt = NEVER;

  begin(now, timeout) {
    this.generation += 1;
    Object.assign(this, { active: true, beganAt: now, deadline: now + timeout, dueAt: NEVER });
  }

  end() {
    Object.assign(this, { active: false, deadline: NEVER });
  }

  /** Whether an answer of this generation counts. */
  isCurrent(generation) {
    return this.active && generation === this.generation;
  }
}

/** The stream that is open, if there is one. */
class StreamTrack {
  generation = 0;
  open = false;
  helloAt = null;
  beganAt = 0;
  /** Those that were new; what comes twice proves nothing. */
  events = 0;
  deadline = NEVER;

  begin(now, timeout) {
    this.generation += 1;
    const deadline = now + timeout;
    Object.assign(this, { open: true, helloAt: null, beganAt: now, events: 0, deadline });
  }

  end() {
    Object.assign(this, { open: false, helloAt: null, deadline: NEVER });
  }

  /** Whether what comes from this generation counts. */
  isCurrent(generation) {
    return this.open && generation === this.generation;
  }

  /** Whether it brought nothing for so short a time that it counts as failed. */
  wasTooShort(now, least) {
    return this.helloAt === null || (now - this.beganAt < least && this.events === 0);
  }
}

/**
 * The state of one client, and what can be done with it.
 *
 * @param positions {channel: the seq it goes on from, or null to start anew}
 * @param epoch the epoch of those seqs, or null
 * @param settings those of SETTINGS that differ
 * @param uniform (low, high) → a random number evenly between
 */
export class Conduct {
  state = "idle";
  /** The newest failure {kind, detail, retryAfter}, or null. */
  lastFailure = null;
  /** All that Core committed before it has been received, while live; seconds since 1970. */
  watermark = null;
  /** When (by the `now` of handle) it was last certain to know everything, or null. */
  certainAt = null;

  constructor(positions, epoch, settings, uniform) {
    this._settings = { ...SETTINGS, ...settings };
    this._uniform = uniform;
    this._intake = new Intake(positions, epoch);
    this._sync = new SyncTrack();
    this._stream = new StreamTrack();
    this._restarts = new Restarts(this._settings.healthyAfter);
    this._now = -Infinity;
    this._probeAt = 0;
    this._keptAwayUntil = 0;
    this._pollAfter = 1;
    this._needsToken = false;
    this._woken = false;
    this._streamBackoff = new Backoff(this._settings, uniform);
    this._syncBackoff = new Backoff(this._settings, uniform);
    this._healing = new Healing(this._settings, uniform);
    this._out = [];
  }

  /** What has been taken in. */
  get positions() {
    return this._intake.positions;
  }

  /** The epoch of the positions. */
  get epoch() {
    return this._intake.epoch;
  }

  /** What happened so far. */
  get counters() {
    return this._intake.counters;
  }

  /** How many channels begin anew because their orders had another digest. */
  get diverged() {
    return this._intake.diverged;
  }

  /** When the machine wants a Tick; Infinity: not at all. */
  get deadline() {
    if (this.state === "closed" || this.state === "failed") return NEVER;
    return Math.min(this._sync.dueAt, this._sync.deadline, this._stream.deadline);
  }

  /** Whether the last sync failed: the client cannot know what it misses. */
  get failing() {
    return this._syncBackoff.failures > 0;
  }

  // ── syncs ────────────────────────────────────────────────────────────────────────────────────

  /** Syncs after a while; the polling state goes on polling, any other becomes syncing. */
  _goSync(now, after) {
    if (this.state !== "polling") this.state = "syncing";
    if (after > 0) this._sync.dueAt = now + after;
    else this._syncNow(now);
  }

  _syncNow(now) {
    this._sync.dueAt = NEVER;
    if (this._sync.active) return;
    const after = this._intake.question();
    const newToken = this._needsToken;
    const wait = this._wait(now);
    Object.assign(this._sync, { newToken, wait });
    this._sync.begin(now, this._settings.syncTimeout + wait);
    const { generation } = this._sync;
    this._out.push({ type: "StartSync", generation, after, epoch: this.epoch, wait, newToken });
  }

  /** How long Core may hold the answer: never while something else waits for it. */
  _wait(now) {
    if (this.state !== "polling" || this._stream.open || this.failing || this._woken) return 0;
    // The next try of the stream needs a ticket, so an answer, by then.
    return Math.min(this._settings.longPoll, Math.max(0, this._probeAt - now));
  }

  _cancelSync() {
    if (!this._sync.active) return;
    this._out.push({ type: "CancelSync", generation: this._sync.generation });
    this._sync.end();
  }

  _syncHasFailed(why, now) {
    this.counters.syncFailures += 1;
    this.lastFailure = why;
    const fresh = this._sync.newToken;
    const unauthorized = why.kind === "unauthorized";
    if (fresh && why.kind !== "token" && why.kind !== "unreachable") this._needsToken = false;
    if (why.kind === "refused" || (unauthorized && fresh)) {
      this._end("failed", why);
    } else if (unauthorized) {
      this._needsToken = true;
      this._goSync(now, 0);
    } else {
      this._goSync(now, Math.max(this._syncBackoff.failed(now), why.retryAfter ?? 0));
    }
  }

  /** A poll is done: goes live if the stream has proven itself, else polls on and perhaps tries. */
  _polled(response, news, now) {
    const { helloAt } = this._stream;
    if (helloAt !== null && this._sync.beganAt >= helloAt) {
      this._goLive(now);
      return;
    }
    // A long poll that was answered early and brought nothing was not held: do not spin.
    const held = now - this._sync.beganAt >= this._sync.wait / 2;
    if (this._sync.wait > 0 && (news || held)) {
      this._sync.dueAt = now + this._uniform(0, LONG_POLL_GAP);
    } else {
      const jitter = this._settings.pollJitter;
      this._sync.dueAt = now + this._pollAfter * this._uniform(1 - jitter, 1 + jitter);
    }
    if (now >= this._probeAt && !this._stream.open) this._openStream(response, now);
  }

  // ── streams ──────────────────────────────────────────────────────────────────────────────────

  _openStream(response, now) {
    if (!response.stream) return;
    this._stream.begin(now, this._settings.connectTimeout);
    const { url, ticket } = response.stream;
    const { generation } = this._stream;
    this._out.push({ type: "OpenStream", generation, url, ticket, cursor: this.positions.known });
  }

  _dropStream() {
    if (!this._stream.open) return;
    this._out.push({ type: "CloseStream", generation: this._stream.generation });
    this._stream.end();
  }

  _goLive(now) {
    this.state = "live";
    this._sync.dueAt = NEVER;
    this._streamBackoff.well(now);
  }

  _streamHasFailed(why, now) {
    this.counters.streamFailures += 1;
    this.lastFailure = why;
    this._keptAwayUntil = now + (why.retryAfter ?? 0);
    const delay = Math.max(this._streamBackoff.failed(now), why.retryAfter ?? 0);
    const enough = this._streamBackoff.failures >= this._settings.streamFailures;
    if (this.state === "polling" || why.kind === "busy" || enough) this._goPoll(now, delay);
    else this._goSync(now, delay);
  }

  /** Only a sync helps: at once the first time, with back-off when it keeps happening. */
  _syncAgain(why, now) {
    this._streamHasFailed(why, now);
    if (this._streamBackoff.failures === 1) this._goSync(now, 0);
  }

  /** Polls from now on; the stream is tried again after a while. */
  _goPoll(now, probeAfter) {
    this._probeAt = now + probeAfter;
    if (this.state !== "polling") {
      this.state = "polling";
      this._syncNow(now);
    } else if (!this._sync.active && this._sync.dueAt === NEVER) {
      this._sync.dueAt = now + this._pollAfter;
    }
  }

  /** Tries the stream with the next ticket, unless its server asked for more time. */
  _tryStreamNow(now) {
    this._probeAt = Math.max(Math.min(this._probeAt, now), this._keptAwayUntil);
  }

  // ── the rest ─────────────────────────────────────────────────────────────────────────────────

  _putOut(taken) {
    if (taken.epochChanged) this._dropStream();
    for (const { type, channel } of taken.commands) {
      if (type === "CheckDigest") this._healing.checked(channel);
    }
    this._out.push(...taken.commands);
  }

  _end(state, cause) {
    this._dropStream();
    this._cancelSync();
    this.state = state;
    this._out.push({ type: "Finished", cause });
  }
}
