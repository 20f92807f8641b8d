// Decodes server-sent events from bytes. Pure.
//
// WHATWG HTML, 9.2.5 and 9.2.6. Only CR, LF and CRLF end a line. An EventSource would do this for
// us, but hides why a stream was refused (401, 421, 503 with Retry-After) and reconnects by itself
// with a ticket that has expired.

import { ContractError } from "./contract.js";
import { MAX_EVENT_LENGTH } from "./contract_lists.js";

/** Decodes events, {type, data, lastEventId}; the result does not depend on how the bytes are split. */
export class SseParser {
  /** The last valid `retry:` in milliseconds, or null. */
  retry = /** @type {number | null} */ (null);
  // Removes a leading byte order mark, and replaces invalid UTF-8 by U+FFFD.
  #decoder = new TextDecoder();
  #line = "";
  #skipLineFeed = false;
  #type = "";
  #data = [];
  #length = 0;
  #lastEventId = "";

  /**
   * Takes the next bytes. Returns the events that they complete.
   *
   * @param bytes a Uint8Array of any length
   * @throws ContractError an event or a line is longer than MAX_EVENT_LENGTH
   */
  feed(bytes) {
    let text = this.#decoder.decode(bytes, { stream: true });
    if (text === "") return [];
    if (this.#skipLineFeed && text[0] === "\n") text = text.slice(1);
    this.#skipLineFeed = text === "" ? false : text.endsWith("\r");
    const lines = text.split(/\r\n|\r|\n/);
    lines[0] = this.#line + lines[0];
    this.#line = lines.pop() ?? "";
    const events = [];
    for (const line of lines) this.#take(line, events);
    this.#bound(this.#line.length);
    return events;
  }

  #take(line, events) {
    this.#bound(line.length);
    if (line === "") return this.#dispatch(events);
    if (line[0] === ":") return undefined;
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const raw = colon < 0 ? "" : line.slice(colon + 1);
    const value = raw[0] === " " ? raw.slice(1) : raw;
    if (name === "data") {
      this.#length += raw.length + 1; // the line end that joins it
      this.#bound(this.#length);
      this.#data.push(value);
    } else if (name === "event") {
      this.#type = value;
    } else if (name === "id" && !value.includes("\0")) {
      this.#lastEventId = value;
    } else if (name === "retry" && /^[0-9]{1,15}$/.test(value)) {
      this.retry = Number(value);
    }
    return undefined;
  }

  #dispatch(events) {
    if (this.#data.length > 0) {
      const data = this.#data.join("\n");
      events.push({ type: this.#type || "message", data, lastEventId: this.#lastEventId });
    }
    [this.#type, this.#data, this.#length] = ["", [], 0];
  }

  #bound(length) {
    if (length > MAX_EVENT_LENGTH) throw new ContractError("an event of the stream is too long");
  }
}
