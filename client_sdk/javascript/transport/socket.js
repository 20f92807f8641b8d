// A stream over a WebSocket: the same inputs as from server-sent events.
//
// As client_sdk/transport/socket_transport.py. A browser does not tell a page why a WebSocket could not be
// opened.

import { MAX_EVENT_LENGTH } from "../contract/contract_lists.js";
import { ContractError, parsed } from "../contract/contract.js";
import { inputOf } from "./stream_events.js";

const SUBPROTOCOL = "yabam.v1";
const STREAM_PATH = "/v1/stream";
const SOCKET_PATH = "/v1/socket";
/** The characters that a message may have in addition to its event's data. */
const ROOM = 4096;

/**
 * The socket's address for a stream's.
 *
 * @param stream a URL
 * @throws Error the stream's address has another path, so there is no socket
 */
export function socketUrl(stream) {
  const url = new URL(stream);
  if (!url.pathname.endsWith(STREAM_PATH)) throw new Error("this stream has no WebSocket");
  url.pathname = url.pathname.slice(0, -STREAM_PATH.length) + SOCKET_PATH;
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url;
}

/** One WebSocket. */
export class Socket {
  #socket = /** @type {WebSocket | null} */ (null);

  /**
   * Passes the inputs to `put` until the server closes or `signal` aborts.
   *
   * @param url the socket's, with the ticket
   * @param generation of the stream
   * @param signal closes the socket when it aborts
   * @param put called with each input
   * @throws ContractError a message is malformed
   * @throws Error it could not be opened, or broke
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

  /**
   * Reports what has been applied. Returns whether it was sent, over an open socket.
   *
   * @param cursor as formatCursor writes it
   */
  received(cursor) {
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) return false;
    socket.send(JSON.stringify({ event: "received", data: { cursor } }));
    return true;
  }
}

function inputOfMessage(generation, text) {
  if (typeof text !== "string") throw new ContractError("a message of the socket is not text");
  if (text.length > MAX_EVENT_LENGTH + ROOM) throw new ContractError("a message of the socket is too long");
  const { event, data } = parsed(text);
  if (typeof event !== "string") throw new ContractError("a message of the socket has no event");
  // As text, as in a stream's event: the same code decodes it.
  return inputOf(generation, { type: event, data: JSON.stringify(data ?? {}) });
}
