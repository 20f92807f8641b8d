// When to sync, connect or poll: what each input leads to, one function for each. Pure.
//
// As client_sdk/machine/sync_connect_or_poll.py. A client syncs before each connect, polls after several failures
// of its stream, and tries the stream again in the background (streamDelay says when, polled of actions.js does
// it). inputs_by_state.js says in which states an input counts, actions.js what can be done, sse_or_websocket.js
// by what the next stream is opened. Syncs and streams carry a generation: what comes from an older one is ignored.
//
// Every way back has a guard, so that no mistake of a server becomes a tight loop: a failure, a gap, a
// sync-required and a wrong digest come with back-off, a page must bring something, a stream that
// brought nothing new and ends at once has failed, channels that begin anew again and again are a
// fault, and what a server says about waiting is kept within bounds.

import { instant } from "../contract/contract.js";
import {
  LEAST_POLL_AFTER_MS,
  LONG_FAULT,
  MAX_POLL_AFTER_MS,
  MAX_RECONNECT_MS,
} from "../contract/contract_lists.js";
import { failure } from "./messages.js";
import { Verdict } from "./sequencing.js";
/** @import { Actions } from "./actions.js" */
/** @import { Failure, Input, Inputs } from "./messages.js" */
/** @import { ByeReason } from "../contract/contract_lists.js" */

/**
 * What an input leads to. `client` is changed, and the commands are added to its `out`; `now` is in monotonic
 * seconds, never less than at the last input.
 *
 * @template {Input["type"]} K
 * @typedef {(client: Actions, input: Inputs[K], now: number) => void} Rule
 */
/** @typedef {(client: Actions, why: Failure, now: number) => void} Failed */

/** A sync that began less than so many seconds before a Wake is left to its end. */
const FRESH_SYNC = 1;

const clamp = (x, least, most) => Math.min(Math.max(x, least), most);

/** @type {Rule<"Start">} idle → syncing: always sync before anything else. */
export const start = (client, _, now) => {
  client.goSync(now, 0);
};

/** @type {Rule<"SyncDone">} Take the answer in; then connect, poll on, or ask for more. */
export const syncDone = (client, input, now) => {
  if (!client.sync.isCurrent(input.generation)) return;
  const { response } = input;
  client.sync.end();
  const taken = client.syncState.take(response);
  client.putOut(taken);
  let { fault } = taken;
  if (taken.restarted && client.restarts.tooMany(now)) {
    fault ??= "channels begin anew again and again";
  }
  if (fault !== null) {
    client.syncHasFailed(failure("malformed", fault), now);
    return;
  }
  if (client.syncBackoff.failures >= LONG_FAULT) {
    // What broke the syncs broke the streams, too: their back-off must not come on top.
    client.streamBackoff.forget();
    client.tryStreamNow(now);
  }
  client.syncBackoff.forget();
  client.needsToken = false;
  client.woken = false;
  client.pollAfter = clamp(response.poll_after_ms, LEAST_POLL_AFTER_MS, MAX_POLL_AFTER_MS) / 1000;
  if (response.has_more) {
    client.syncNow(now);
    return;
  }
  client.freshness.proven(instant(response.server_time), now);
  if (client.state === "polling") {
    client.polled(response, taken.news, now);
  } else if (!response.stream) {
    client.goPoll(now, streamDelay(client, now));
  } else {
    client.state = "connecting";
    client.openStream(response, now);
  }
};

/** @type {Rule<"SyncFailed">} Try again later; a refused token is replaced once, a refusal for good ends it. */
export const syncFailed = (client, input, now) => {
  if (!client.sync.isCurrent(input.generation)) return;
  client.sync.end();
  client.syncHasFailed(input.failure, now);
};

/** @type {Rule<"StreamHello">} connecting → live; beside polling the stream must still prove itself by a sync. */
export const hello = (client, input, now) => {
  if (!client.stream.isCurrent(input.generation) || client.stream.helloAt !== null) return;
  if (input.epoch !== client.epoch) {
    client.dropStream();
    const why = "the stream is of another epoch than the last sync";
    streamHasFailed(client, failure("malformed", why), now);
    return;
  }
  client.stream.helloAt = now;
  client.stream.deadline = now + client.settings.watermarkTimeout;
  client.watermark = input.watermark;
  client.carriedBy = client.stream.via;
  if (client.state === "connecting") {
    client.goLive(now);
  } else {
    // What was begun before the hello proves nothing; a waiting poll would hold us up.
    client.cancelSync();
    client.syncNow(now);
  }
};

/** @type {Rule<"StreamEvent" | "StreamDocument">} n+1 on top of n; a duplicate is dropped; a gap leads to a sync. */
export const event = (client, input, now) => {
  if (!hasHello(client, input.generation)) return;
  const verdict = client.syncState.takeEvent(input.event);
  if (verdict === Verdict.APPLY) {
    client.stream.events += 1;
    const type = input.type === "StreamDocument" ? "DeliverDocument" : "Deliver";
    client.out.push({ type, change: input.event, epoch: client.epoch });
  } else if (verdict === Verdict.GAP) {
    client.dropStream();
    syncAgain(client, failure("malformed", "the stream left a gap"), now);
  }
};

/** @type {Rule<"StreamHeartbeat">} A watermark that moves proves the stream; one that stands still does not. */
export const heartbeat = (client, input, now) => {
  if (!hasHello(client, input.generation)) return;
  if (client.watermark !== null && input.watermark <= client.watermark) return;
  client.watermark = input.watermark;
  client.stream.deadline = now + client.settings.watermarkTimeout;
  if (client.state === "live") client.freshness.proven(input.watermark, now);
};

/** @type {Rule<"StreamSyncRequired">} Sync, then connect. */
export const syncRequired = (client, input, now) => {
  if (!client.stream.isCurrent(input.generation)) return;
  client.dropStream();
  const why = `the server says sync-required: ${input.reason}`;
  syncAgain(client, failure("unreachable", why), now);
};

/** @type {Rule<"StreamBye">} The planned end: sync and connect again, spread by the server's word. */
export const bye = (client, input, now) => {
  if (!client.stream.isCurrent(input.generation)) return;
  const tooShort = client.stream.wasTooShort(now, client.settings.shortStream);
  client.judgeTransport(now);
  client.dropStream();
  const after = clamp(input.reconnectAfterMs, 0, MAX_RECONNECT_MS) / 1000;
  if (/** @type {ByeReason} */ (input.reason) === "degraded") {
    client.lastFailure = failure("busy", "the server says bye: degraded");
    client.keptAwayUntil = now + after;
    client.goPoll(now, Math.max(after, streamDelay(client, now)));
  } else if (tooShort) {
    const why = `the stream ended at once: bye ${input.reason}`;
    streamHasFailed(client, failure("unreachable", why), now);
  } else if (client.state === "polling") {
    client.goPoll(now, after);
  } else {
    client.goSync(now, after);
  }
};

/** @type {Rule<"StreamEnded">} The stream broke or could not be had. */
export const ended = (client, input, now) => {
  if (!client.stream.isCurrent(input.generation)) return;
  // Else the server itself has answered.
  if (!["busy", "ticket"].includes(input.failure.kind)) client.judgeTransport(now);
  client.stream.end();
  if (input.failure.kind === "ticket") syncAgain(client, input.failure, now);
  else streamHasFailed(client, input.failure, now);
};

/** @type {Rule<"Tick">} A deadline came: a sync is due or overdue, or the stream is silent. */
export const tick = (client, _, now) => {
  if (now >= client.sync.deadline) {
    client.cancelSync();
    client.syncHasFailed(failure("unreachable", "the sync was not answered"), now);
  }
  if (now >= client.stream.deadline) {
    const saidHello = client.stream.helloAt !== null;
    client.dropStream();
    if (saidHello) {
      client.lastFailure = failure("unreachable", "the watermark stands still");
      client.counters.streamFailures += 1;
      client.goPoll(now, streamDelay(client, now));
    } else {
      client.choice.silent();
      const why = "the stream did not say hello in time";
      streamHasFailed(client, failure("unreachable", why), now);
    }
  }
  if (now >= client.sync.dueAt) client.syncNow(now);
};

/** @type {Rule<"Wake">} A connection from before a sleep may be dead unnoticed; what waits is tried now. */
export const wake = (client, _, now) => {
  client.dropStream();
  // A browser may say it several times in a row; that must not restart a sync each time.
  if (now - client.sync.beganAt >= FRESH_SYNC) client.cancelSync();
  client.tryStreamNow(now);
  client.woken = true;
  client.goSync(now, 0);
};

/** @type {Rule<"Diverged">} The book is wrong: take a snapshot; with back-off if that does not help. */
export const diverge = (client, input, now) => {
  const { channel } = input;
  client.lastFailure = failure("malformed", `${channel} differs from Core's digest`);
  // Should a snapshot not help, the next one waits; all else goes on meanwhile.
  if (!client.syncState.diverge(channel, client.healing.mayBegin(channel, now))) return;
  client.healing.began(channel, now);
  client.dropStream();
  client.cancelSync();
  client.goSync(now, 0);
};

/** @type {Rule<"GiveUp">} any → failed. */
export const giveUp = (client, input) => {
  client.lastFailure = failure("consumer", String(input.cause));
  client.end("failed", input.cause);
};

/** @type {Rule<"Close">} any → closed. */
export const close = (client) => {
  client.end("closed", null);
};

/** @type {(client: Actions, generation: number) => boolean} */
const hasHello = ({ stream }, generation) => stream.isCurrent(generation) && stream.helloAt !== null;

/**
 * Counts a failure of the stream. Returns how long to wait until the next is tried.
 *
 * One that was well is mostly lost because its server starts anew, and is soon back. So for a while it
 * is tried with the answer of each poll, which costs less than the poll itself does; and Core slows the
 * polls down where there are too many. A transport that never worked, or that breaks again and again,
 * gets no such haste.
 *
 * @type {(client: Actions, now: number) => number}
 */
function streamDelay(client, now) {
  const { watermarkTimeout, healthyAfter, backoffFirst } = client.settings;
  if (client.streamBackoff.wellFor(now) >= watermarkTimeout) client.lostAt = now;
  if (now - client.lostAt >= healthyAfter) return client.streamBackoff.failed(now);
  return client.streamBackoff.failed(now, Math.max(backoffFirst, client.pollAfter / 2));
}

/**
 * Falls back to polling after several failures, or where the server is busy; else syncs. Either way the
 * stream is tried again, with back-off.
 *
 * @type {Failed}
 */
function streamHasFailed(client, why, now) {
  client.counters.streamFailures += 1;
  client.lastFailure = why;
  client.keptAwayUntil = now + (why.retryAfter ?? 0);
  const delay = Math.max(streamDelay(client, now), why.retryAfter ?? 0);
  const enough = client.streamBackoff.failures >= client.settings.streamFailures;
  if (client.state === "polling" || why.kind === "busy" || enough) client.goPoll(now, delay);
  else client.goSync(now, delay);
}

/** @type {Failed} Syncs, as nothing else helps: at once the first time, with back-off when it recurs. */
function syncAgain(client, why, now) {
  streamHasFailed(client, why, now);
  if (client.streamBackoff.failures === 1) client.goSync(now, 0);
}
