// Reads the stream of the figures: GET /v1/ops/stream, as server-sent events. When a stream ends, the next one is
// opened.
//
// It does not use EventSource, which cannot send a token. The server ends each stream after about a minute. A stream
// that is silent for too long counts as broken.

import { fetchCore } from "../shared/core/fetch_core.js";
import { SseParser } from "../yabam/contract/sse.js";
import { Backoff } from "../yabam/machine/backoff.js";
import { uniform } from "../yabam/uniform.js";

const PATH = "/v1/ops/stream";
const SILENT_MS = 10_000;
const PAUSES_S = { backoffFirst: 0.5, backoffMost: 10 };
/** The shortest and the longest time that a server can make the page wait. */
const [LEAST_WAIT_MS, MAX_WAIT_MS] = [250, 60_000];

/** Follows the stream, and retries for as long as the token is good. */
export class Feed {
  #token;
  #callbacks;
  #backoff = new Backoff(PAUSES_S, uniform);
  #stop = new AbortController();

  /**
   * @param token the bearer token
   * @param callbacks hello(data) and figures(data) for the stream's events, feed(state, detail) when the
   *   connection's state changes, refused(name of a text) when Core refuses the token
   */
  constructor(token, callbacks) {
    this.#token = token;
    this.#callbacks = callbacks;
  }

  async run() {
    while (!this.#stop.signal.aborted) {
      const pause = await this.#once();
      if (pause === null) return;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  stop() {
    this.#stop.abort();
  }

  /**
   * Reads one stream. Returns a promise of how long to wait before the next, in milliseconds; of null: do not retry.
   */
  async #once() {
    const silence = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, silence.signal]);
    const watch = new Watch(() => silence.abort(), SILENT_MS);
    try {
      const response = await fetchCore(PATH, this.#token, { signal, headers: { accept: "text/event-stream" } });
      if (response.status !== 200) return await this.#refused(response);
      return (await this.#read(response.body.getReader(), watch)) ?? this.#failed("");
    } catch (error) {
      if (this.#stop.signal.aborted) return null;
      return this.#failed(silence.signal.aborted ? "" : String(error.message ?? error));
    } finally {
      watch.end();
    }
  }

  async #refused(response) {
    const problem = await response.json().catch(() => ({}));
    if (response.status === 401 || response.status === 403) {
      this.#callbacks.refused(response.status === 401 ? "tokenRefused" : "tokenRole");
      return null;
    }
    const detail = problem.detail ?? String(response.status);
    if (response.status !== 503) return this.#failed(detail);
    this.#callbacks.feed("busy", detail);
    return waitOf(1000 * Math.max(1, Number(response.headers.get("retry-after")) || 1));
  }

  /**
   * Reads a stream to its end. Returns a promise of how long to wait, in milliseconds; of null if the stream ended
   * without a `bye` or before the first figures.
   */
  async #read(reader, watch) {
    const parser = new SseParser();
    let hasFigures = false;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return null;
      watch.again();
      for (const { type, data } of parser.feed(value)) {
        if (type === "hello") this.#callbacks.hello(JSON.parse(data));
        if (type === "figures") {
          this.#callbacks.figures(JSON.parse(data));
          this.#backoff.forget();
          hasFigures = true;
        }
        if (type === "bye") return hasFigures ? waitOf(JSON.parse(data).reconnect_after_ms) : null;
      }
    }
  }

  #failed(detail) {
    this.#callbacks.feed("offline", detail);
    return this.#backoff.failed(0) * 1000;
  }
}

/** The time to wait that a server sent, within limits; anything but a number counts as the longest. */
function waitOf(ms) {
  return Number.isFinite(ms) ? Math.min(Math.max(ms, LEAST_WAIT_MS), MAX_WAIT_MS) : MAX_WAIT_MS;
}

/** Calls `late` when `again` has not been called for `after` milliseconds. */
class Watch {
  #late;
  #after;
  #timer;

  constructor(late, after) {
    [this.#late, this.#after] = [late, after];
    this.again();
  }

  again() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#late, this.#after);
  }

  end() {
    clearTimeout(this.#timer);
  }
}
