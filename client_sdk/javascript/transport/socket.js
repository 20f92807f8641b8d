// A stream over a WebSocket: the same inputs as from server-sent events.
//
// As client_sdk/transport/socket_transport.py. A browser does not tell a page why a WebSocket
// could not be had.

import { MAX_EVENT_LENGTH } from "../contract/contract_lists.js";
import { ContractError, parsed } from "../contract/contract.js";
import { inputOf } from "./stream_events.js";

const SUBPROTOCOL = "yabam.v1";
const STREAM_PATH = "/v1/stream";
const SOCKET_PATH = "/v1/socket";
/** What a message holds beside its event's data, in characters. */
const ROOM = 4096;

/**
 * The address of the socket beside a stream's.
 *
 * @param stream a URL
 * @throws Error the stream's does not end as it should: there is none
 */
export function socketUrl(stream) {
  const url = new URL(stream);
  if (!url.pathname.endsWith(STREAM_PATH)) throw new Error("there is no WebSocket beside the stream");
  url.pathname = url.pathname.slice(0, -STREAM_PATH.length) + SOCKET_PATH;
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url;
}

/** One WebSocket. */
export class Socket {
  #socket = /** @type {WebSocket | null} */ (null);

  /**
   * Hands what comes to `put` until the server closes or `signal` aborts.
   *
   * @throws ContractError it says what makes no sense
   * @throws Error it could not be had, or broke
   */
  async read(url, generation, signal, put) {
    const socket = new WebSocket(url, SUBPROTOCOL);
    this.#socket = socket;
    const leave = () => socket.close();
    signal.addEventListener("abort", leave);
    try {
      await /** @type {Promise<void>} */ (new Promise((resolve, reject) => {
        socket.onmessage = ({ data }) => {
          try {
            const input = inputOfMessage(generation, data);
            if (input !== null) put(input);
          } catch (error) {
            socket.close();
            reject(error);
          }
        };
        socket.onclose = ({ code, wasClean }) => {
          if (wasClean && code === 1000) resolve();
          else reject(new Error(`the socket closed with code ${code}`));
        };
      }));
    } finally {
      signal.removeEventListener("abort", leave);
      this.#socket = null;
    }
  }

  /** Says what has been applied. Returns whether a socket is open that takes it. */
  received(cursor) {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) return false;
    socket.send(JSON.stringify({ event: "received", data: { cursor } }));
    return true;
  }
}

function inputOfMessage(generation, text) {
  if (typeof text !== "string") throw new ContractError("a message of the socket is no text");
  if (text.length > MAX_EVENT_LENGTH + ROOM) throw new ContractError("a message of the socket is too long");
  const { event, data } = parsed(text);
  if (typeof event !== "string") throw new ContractError("a message of the socket names no event");
  // As the text that a stream's event has: what reads it is the same.
  return inputOf(generation, { type: event, data: JSON.stringify(data ?? {}) });
}
