// By what the next stream is opened: server-sent events first, else a WebSocket. Pure.
//
// As client_sdk/machine/sse_or_websocket.py. A proxy that buffers answers lets no hello through, or ends each
// stream at once; what it cannot read it passes on. Where a WebSocket fails in turn, the next stream is one of
// server-sent events again: the network may be another one now.

import { AT_ONCE_AGAIN } from "../contract/contract_lists.js";

/** What to open next, by what became of those before. */
export class TransportChoice {
  via = /** @type {import("../contract/contract_lists.js").Via} */ ("sse");
  #atOnce = 0;

  /** It has not said hello in time. */
  silent() {
    this.#take(this.via === "sse" ? "websocket" : "sse");
  }

  /** It said hello, and ended at once. */
  endedAtOnce() {
    this.#atOnce += 1;
    if (this.via === "websocket") this.#take("sse");
    else if (this.#atOnce >= AT_ONCE_AGAIN) this.#take("websocket");
  }

  /** The connection, or its upgrade, failed: of a stream that says nothing about proxies. */
  couldNotBeHad() {
    if (this.via === "websocket") this.#take("sse");
  }

  /** It brought something, or was open for a while. */
  lasted() {
    this.#atOnce = 0;
  }

  #take(via) {
    this.via = via;
    this.#atOnce = 0;
  }
}
