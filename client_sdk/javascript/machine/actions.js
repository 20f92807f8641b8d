// What the machine can do: start and end syncs and streams, poll, end. Pure.
//
// As client_sdk/machine/actions.py. sync_connect_or_poll.js decides when, and when a client falls back to polling.
// While it polls, it tries a stream in the background from probeAt on (polled).

import { Freshness } from "./freshness.js";
import { SyncState } from "./sync_state.js";
import { NEVER, StreamTrack, SyncTrack } from "./tracks.js";
import { HealingBackoff } from "./healing_backoff.js";
import { Backoff, Restarts } from "./backoff.js";
import { LONG_POLL_GAP_S, SETTINGS } from "../contract/contract_lists.js";
import { TransportChoice } from "./sse_or_websocket.js";

/** @import { Command, Failure } from "./messages.js" */
/** @import { Settings, State, Via } from "../contract/contract_lists.js" */

/** The state of one client, and what can be done with it. All `now` are monotonic seconds. */
export class Actions {
  state = /** @type {State} */ ("idle");
  /** The newest, or null. */
  lastFailure = /** @type {Failure | null} */ (null);
  /** All that Core committed before it has been received, while live; seconds since 1970. */
  watermark = /** @type {number | null} */ (null);
  freshness = new Freshness();
  /** What carried the last stream that said hello. */
  carriedBy = /** @type {Via} */ ("sse");
  out = /** @type {Command[]} */ ([]);

  /**
   * @param {{[channel: string]: number | null}} positions the seq each goes on from, or null to start anew
   * @param {string | null} epoch of those seqs
   * @param {Partial<Settings>} settings those of SETTINGS that differ
   * @param {(low: number, high: number) => number} uniform a random number evenly between two
   */
  constructor(positions, epoch, settings, uniform) {
    this.settings = /** @type {Settings} */ ({ ...SETTINGS, ...settings });
    this.uniform = uniform;
    this.syncState = new SyncState(positions, epoch);
    this.sync = new SyncTrack();
    this.stream = new StreamTrack();
    this.choice = new TransportChoice();
    this.restarts = new Restarts(this.settings.healthyAfter);
    this.now = -Infinity;
    this.probeAt = 0;
    this.keptAwayUntil = 0;
    this.lostAt = -Infinity;
    this.pollAfter = 1;
    this.needsToken = false;
    this.woken = false;
    this.streamBackoff = new Backoff(this.settings, uniform);
    this.syncBackoff = new Backoff(this.settings, uniform);
    this.healing = new HealingBackoff(this.settings, uniform);
  }

  /** What has been taken in. */
  get positions() {
    return this.syncState.positions;
  }

  /** The epoch of the positions. */
  get epoch() {
    return this.syncState.epoch;
  }

  /** What happened so far. */
  get counters() {
    return this.syncState.counters;
  }

  /** Whether the last sync failed: the client cannot know what it misses. */
  get failing() {
    return this.syncBackoff.failures > 0;
  }

  /** Starts with the next input. Returns its time, which never goes back. */
  begin(now) {
    this.now = Math.max(now, this.now);
    this.out = [];
    return this.now;
  }

  // ── syncs ────────────────────────────────────────────────────────────────────────────────────

  /**
   * Syncs after a while; polling stays polling, any other state becomes syncing.
   *
   * @param now monotonic seconds
   * @param after how long to wait, in seconds; 0: syncs at once
   */
  goSync(now, after) {
    if (this.state !== "polling") this.state = "syncing";
    if (after > 0) this.sync.dueAt = now + after;
    else this.syncNow(now);
  }

  /** Syncs now, unless a sync is under way. */
  syncNow(now) {
    this.sync.dueAt = NEVER;
    if (!this.sync.active) this.startSync(now);
  }

  /** Asks Core. */
  startSync(now) {
    const after = this.syncState.question();
    const newToken = this.needsToken;
    const wait = this.wait(now);
    Object.assign(this.sync, { newToken, wait });
    this.sync.begin(now, this.settings.syncTimeout + wait);
    const { generation } = this.sync;
    this.out.push({ type: "StartSync", generation, after, epoch: this.epoch, wait, newToken });
  }

  /** How long Core may hold the answer: never while something else waits for it. */
  wait(now) {
    if (this.state !== "polling" || this.stream.open || this.failing || this.woken) return 0;
    // The next try of the stream needs a ticket, so an answer, by then.
    return Math.min(this.settings.longPoll, Math.max(0, this.probeAt - now));
  }

  /** Ends the sync under way, if there is one; its answer does not count. */
  cancelSync() {
    if (!this.sync.active) return;
    this.out.push({ type: "CancelSync", generation: this.sync.generation });
    this.sync.end();
  }

  /**
   * Tries again with back-off; replaces a refused token once; ends if refused for good.
   *
   * @param why a Failure
   * @param now monotonic seconds
   */
  syncHasFailed(why, now) {
    this.counters.syncFailures += 1;
    this.lastFailure = why;
    const fresh = this.sync.newToken;
    const unauthorized = why.kind === "unauthorized";
    if (fresh && why.kind !== "token" && why.kind !== "unreachable") this.needsToken = false;
    if (why.kind === "refused" || (unauthorized && fresh)) {
      this.end("failed", why);
    } else if (unauthorized) {
      this.needsToken = true;
      this.goSync(now, 0);
    } else {
      this.goSync(now, Math.max(this.syncBackoff.failed(now), why.retryAfter ?? 0));
    }
  }

  /**
   * After a poll: goes live if the stream has proven itself, else polls on and perhaps tries one.
   *
   * @param response Core's answer; its ticket is used for the stream
   * @param news whether the answer had anything that was not known
   * @param now monotonic seconds
   */
  polled(response, news, now) {
    const { helloAt } = this.stream;
    if (helloAt !== null && this.sync.beganAt >= helloAt) {
      this.goLive(now);
      return;
    }
    // A long poll that was answered early and brought nothing was not held: do not spin.
    const held = now - this.sync.beganAt >= this.sync.wait / 2;
    if (this.sync.wait > 0 && (news || held)) {
      this.sync.dueAt = now + this.uniform(0, LONG_POLL_GAP_S);
    } else {
      const jitter = this.settings.pollJitter;
      this.sync.dueAt = now + this.pollAfter * this.uniform(1 - jitter, 1 + jitter);
    }
    if (now >= this.probeAt && !this.stream.open) this.openStream(response, now);
  }

  // ── streams ──────────────────────────────────────────────────────────────────────────────────

  /**
   * Opens a stream with the ticket of this answer, if it has one.
   *
   * @param response Core's answer
   * @param now monotonic seconds
   */
  openStream(response, now) {
    if (!response.stream) return;
    const { via } = this.choice;
    this.stream.begin(now, this.settings.connectTimeout, via);
    const { url, ticket } = response.stream;
    const { generation } = this.stream;
    this.out.push({ type: "OpenStream", generation, url, ticket, cursor: this.positions.known, via });
  }

  /** The stream ends by itself: what that says about what carries it. */
  judgeTransport(now) {
    if (this.stream.helloAt === null) this.choice.couldNotBeHad();
    else if (this.stream.wasTooShort(now, this.settings.shortStream)) this.choice.endedAtOnce();
    else this.choice.lasted();
  }

  /** Ends the stream, if there is one. */
  dropStream() {
    if (!this.stream.open) return;
    this.out.push({ type: "CloseStream", generation: this.stream.generation });
    this.stream.end();
  }

  /** The stream has proven itself. */
  goLive(now) {
    this.state = "live";
    this.sync.dueAt = NEVER;
    this.streamBackoff.well(now);
  }

  /**
   * Polls from now on; the stream is tried again after a while.
   *
   * @param now monotonic seconds
   * @param probeAfter how long not to try it, in seconds
   */
  goPoll(now, probeAfter) {
    this.probeAt = now + probeAfter;
    if (this.state !== "polling") {
      this.state = "polling";
      this.syncNow(now);
    } else if (!this.sync.active && this.sync.dueAt === NEVER) {
      this.sync.dueAt = now + this.pollAfter;
    }
  }

  /** Tries the stream with the next ticket, unless its server asked for more time. */
  tryStreamNow(now) {
    this.probeAt = Math.max(Math.min(this.probeAt, now), this.keptAwayUntil);
  }

  // ── the rest ─────────────────────────────────────────────────────────────────────────────────

  /**
   * Hands out what an answer brought.
   *
   * @param taken a TakenAnswer of SyncState
   */
  putOut(taken) {
    if (taken.epochChanged) {
      this.dropStream();
      this.freshness.forget();
    }
    for (const one of taken.commands) {
      if (one.type === "CheckDigest" || one.type === "CheckDocuments") this.healing.checked(one.channel);
    }
    this.out.push(...taken.commands);
  }

  /**
   * Ends everything.
   *
   * @param state "failed" or "closed"
   * @param cause a Failure, or what a consumer threw; null: it was closed
   */
  end(state, cause) {
    this.dropStream();
    this.cancelSync();
    this.state = state;
    this.out.push({ type: "Finished", cause });
  }
}
