// The status lamp: how the page receives events, and up to what time it is certain to show everything.

import { setText } from "./dom.js";
import { clockTime } from "./format.js";
import { t } from "./language.js";

/**
 * For how long after `certainAt` a connected page is believed to show everything, in milliseconds. Servers confirm
 * every 5 s that all events have been sent. After a longer time without that, the servers are silent.
 */
const SILENT_MS = 7_000;

const TEXT = {
  unsure: "lampUnsure",
  starting: "lampStarting",
  live: "lampLive",
  polling: "lampPolling",
  offline: "lampOffline",
  failed: "lampFailed",
  closed: "lampFailed",
};

/**
 * The client's mode as the lamp shows it.
 *
 * @param status the client's: its `mode`, and `certainAt`, the time up to which all events are known, in milliseconds
 *   since 1970, or null
 * @param now the time, in milliseconds since 1970
 * @returns the client's mode; "unsure" if it is connected and `certainAt` is too long ago
 */
export function certainMode({ mode, certainAt }, now) {
  const isConnected = mode === "live" || mode === "polling";
  return isConnected && certainAt !== null && now - certainAt > SILENT_MS ? "unsure" : mode;
}

/** Shows the client's status in an element that contains .lamp-mode and .lamp-certain. */
export class Lamp {
  #element;
  #mode;
  #certain;

  constructor(element) {
    this.#element = element;
    this.#mode = element.querySelector(".lamp-mode");
    this.#certain = element.querySelector(".lamp-certain");
  }

  /**
   * Shows the status.
   *
   * @param status the client's status
   * @param now the time, in milliseconds since 1970
   */
  show(status, now = Date.now()) {
    const { via, certainAt, lastError } = status;
    const mode = certainMode(status, now);
    this.#element.dataset.mode = mode;
    this.#element.title = mode === "live" ? "" : (lastError ?? "");
    setText(this.#mode, t(mode === "live" && via === "websocket" ? "lampLiveSocket" : TEXT[mode]));
    const time = certainAt === null ? null : clockTime(certainAt);
    const text = time === null ? "certainNever" : ["offline", "unsure"].includes(mode) ? "certainLast" : "certainAt";
    setText(this.#certain, t(text, { time }));
  }
}
