// The points of the charts: those of the last minutes as they arrive, and those of the last day from the server.

import { fetchCore } from "../shared/core/fetch_core.js";
import { SPANS } from "./chart.js";

const PATH = "/v1/ops/day";
const MINUTE_MS = 60_000;
/**
 * The day is asked for again if this much of it is missing, in milliseconds, as after the laptop was asleep all
 * night.
 */
const STALE_MS = 5 * MINUTE_MS;

/** The points that the charts show. */
export class Points {
  #token;
  #recent = [];
  #day = [];

  constructor(token) {
    this.#token = token;
  }

  /** The points of a span, by its name in SPANS, the oldest first. */
  over(span) {
    if (span === "day") return this.#day;
    // For the time before the page was opened there is one point a minute.
    const first = this.#recent[0]?.at_ms ?? Infinity;
    return [...this.#day.slice(-6).filter((point) => point.at_ms < first), ...this.#recent];
  }

  /** Takes in the points of the time before the stream, which the stream sends first. */
  before(points) {
    const known = points.at(-1)?.at_ms ?? 0;
    // The page keeps points that the server no longer has, as after the server's restart.
    const before = this.#recent.filter((point) => point.at_ms < (points[0]?.at_ms ?? Infinity));
    const after = this.#recent.filter((point) => point.at_ms > known);
    if (points.length > 0) this.#recent = [...before, ...points, ...after];
  }

  take(point) {
    const now = point.at_ms;
    this.#recent = this.#recent.filter((one) => one.at_ms > now - SPANS.minutes && one.at_ms < now);
    this.#recent.push(point);
    if (now - (this.#day.at(-1)?.at_ms ?? 0) < MINUTE_MS) return;
    this.#day = [...this.#day.filter((one) => one.at_ms > now - SPANS.day), point];
  }

  /**
   * Asks Core for the points of the day, unless the newest are known already. If Core does not answer, the charts
   * show what is known; `now` in milliseconds since 1970.
   */
  async ask(now) {
    if (now - (this.#day.at(-1)?.at_ms ?? 0) < STALE_MS) return;
    try {
      const answer = await fetchCore(PATH, this.#token);
      if (!answer.ok) return;
      const { points } = await answer.json();
      const first = points[0]?.at_ms ?? Infinity;
      const last = points.at(-1)?.at_ms ?? 0;
      const own = this.#day.filter((one) => one.at_ms < first || one.at_ms > last);
      this.#day = [...own, ...points].sort((a, b) => a.at_ms - b.at_ms);
    } catch {
      // The feed shows that the server does not answer. When the next stream begins, the page asks for the day again.
    }
  }
}
