// The lamp: how the page receives events, and when it was last certain to show everything.

import { setText } from "./dom.js";
import { clockTime } from "./format.js";
import { t } from "./language.js";

const TEXT = {
  starting: "lampStarting",
  live: "lampLive",
  polling: "lampPolling",
  offline: "lampOffline",
  failed: "lampFailed",
  closed: "lampFailed",
};

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

  show({ mode, via, certainAt, lastError }) {
    this.#element.dataset.mode = mode;
    this.#element.title = mode === "live" ? "" : (lastError ?? "");
    setText(this.#mode, t(via === "websocket" ? "lampLiveSocket" : TEXT[mode]));
    const time = certainAt === null ? null : clockTime(certainAt);
    const text = time === null ? "certainNever" : mode === "offline" ? "certainLast" : "certainAt";
    setText(this.#certain, t(text, { time }));
  }
}
