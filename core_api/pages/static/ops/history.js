// The points of the charts: those of the last minutes as they come, and the last day from the server.

import { fetchCore } from "../shared/core/fetch_core.js";
import { SPANS } from "./chart.js";

const PATH = "/v1/ops/day";
const MINUTE_MS = 60_000;
/** The day is asked for again where so much of it is missing, as after a night of the laptop's sleep. */
const STALE_MS = 5 * MINUTE_MS;

/** What the charts show. */
export class Points {
  #token;
  #recent = [];
  #day = [];

  constructor(token) {
    this.#token = token;
  }

  /** The points over a span, of `SPANS`, the oldest first. */
  over(span) {
    if (span === "day") return this.#day;
    // Before the page was opened there is one a minute.
    const first = this.#recent[0]?.at_ms ?? Infinity;
    return [...this.#day.slice(-6).filter((point) => point.at_ms < first), ...this.#recent];
  }

  /** What a stream's begin tells of the time before. */
  before(points) {
    const known = points.at(-1)?.at_ms ?? 0;
    // What the server does not remember, as after its own restart, we still do.
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

  /** Asks for the day, where it is not known up to now; the charts do without it where there is none. */
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
      // The stream tells of a server that is away; it asks again when it begins anew.
    }
  }
}
