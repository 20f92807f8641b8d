// The lamp: how the page receives events, and when it was last certain to show everything.

import { setText } from "./dom.js";
import { clockTime } from "./format.js";
import { t } from "./language.js";

/**
 * How old what is certain may be while the page counts as connected: servers say each 5 s up to when all
 * has been told, so what is older says that they are silent.
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

/** The client's mode, or unsure: it is connected, and yet nothing has been certain for too long. */
export function certainMode({ mode, certainAt }, now) {
  const isConnected = mode === "live" || mode === "polling";
  return isConnected && certainAt !== null && now - certainAt > SILENT_MS ? "unsure" : mode;
}

/** Shows the client's status in an element that holds .lamp-mode and .lamp-certain. */
export class Lamp {
  #element;
  #mode;
  #certain;

  constructor(element) {
    this.#element = element;
    this.#mode = element.querySelector(".lamp-mode");
    this.#certain = element.querySelector(".lamp-certain");
  }

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
