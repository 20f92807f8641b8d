// The figures' own stream: GET /v1/ops/stream, read as server-sent events, and begun again.
//
// An EventSource cannot send a token. The stream ends by itself after a minute or so; one that is
// silent for longer than it may be is taken for dead.

import { fetchCore } from "../shared/core/fetch_core.js";
import { SseParser } from "../yabam/contract/sse.js";
import { Backoff } from "../yabam/machine/backoff.js";
import { uniform } from "../yabam/uniform.js";

const PATH = "/v1/ops/stream";
const SILENT_MS = 10_000;
const PAUSES_S = { backoffFirst: 0.5, backoffMost: 10 };
/** The bounds of what a server says about waiting. */
const [LEAST_WAIT_MS, MAX_WAIT_MS] = [250, 60_000];

/** Follows the stream and tells `heard`: .hello, .figures, .feed (a state), .refused (a text). */
export class Feed {
  #token;
  #heard;
  #backoff = new Backoff(PAUSES_S, uniform);
  #stop = new AbortController();

  constructor(token, heard) {
    this.#token = token;
    this.#heard = heard;
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

  /** One stream; how long to wait before the next, in milliseconds; null: not again. */
  async #once() {
    const silence = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, silence.signal]);
    const watch = new Watch(() => silence.abort(), SILENT_MS);
    try {
      const response = await fetchCore(PATH, this.#token, { signal, headers: { accept: "text/event-stream" } });
      if (response.status !== 200) return await this.#turnedAway(response);
      return (await this.#read(response.body.getReader(), watch)) ?? this.#failed("");
    } catch (error) {
      if (this.#stop.signal.aborted) return null;
      return this.#failed(silence.signal.aborted ? "" : String(error.message ?? error));
    } finally {
      watch.end();
    }
  }

  async #turnedAway(response) {
    const problem = await response.json().catch(() => ({}));
    if (response.status === 401 || response.status === 403) {
      this.#heard.refused(response.status === 401 ? "tokenRefused" : "tokenRole");
      return null;
    }
    const detail = problem.detail ?? String(response.status);
    if (response.status !== 503) return this.#failed(detail);
    this.#heard.feed("busy", detail);
    return waitOf(1000 * Math.max(1, Number(response.headers.get("retry-after")) || 1));
  }

  /** How long to wait after the stream; null: it ended without a bye, or told nothing before. */
  async #read(reader, watch) {
    const parser = new SseParser();
    let told = false;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return null;
      watch.again();
      for (const { type, data } of parser.feed(value)) {
        if (type === "hello") this.#heard.hello(JSON.parse(data));
        if (type === "figures") {
          this.#heard.figures(JSON.parse(data));
          this.#backoff.forget();
          told = true;
        }
        if (type === "bye") return told ? waitOf(JSON.parse(data).reconnect_after_ms) : null;
      }
    }
  }

  #failed(detail) {
    this.#heard.feed("offline", detail);
    return this.#backoff.failed(0) * 1000;
  }
}

/** What a server says about waiting, within bounds; what is no number counts as the most. */
function waitOf(ms) {
  return Number.isFinite(ms) ? Math.min(Math.max(ms, LEAST_WAIT_MS), MAX_WAIT_MS) : MAX_WAIT_MS;
}

/** Calls `late` when `again` has not been called for so long. */
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
