// The HTTP side: syncs, streams and commands; answers and errors become the machine's inputs.
//
// As client_sdk/transport/http_transport.py. Every read has a limit: an answer MAX_SYNC_BYTES, all
// answers of one sync together MAX_PAGED_SYNC_BYTES; transport/http_bodies.js reads within them.
// Whatever a server answers becomes an input: this module throws no error that a server caused.

import { ContractError, checkOrder, formatCursor, parsed } from "./contract/contract.js";
import { MAX_ORDERS, MAX_SYNC_BYTES } from "./contract/contract_lists.js";
import { Assembly } from "./machine/snapshot_pages.js";
import { readProblem, refusal, shortened, slugOf } from "./transport/http_failures.js";
import { failure } from "./machine/messages.js";
import { ask, readStream, readText } from "./transport/http_bodies.js";
import { Socket, socketUrl } from "./transport/socket.js";
import { checkMixedSync } from "./contract/state/document.js";

/** What one URL can name; a page follows a store or a table, never so many. */
export const MAX_CHANNELS = 40;
const MAX_COMMAND_BYTES = 4 * 2 ** 20;
const MAX_PROBLEM_BYTES = 64 * 2 ** 10;
const CHECK_MS = 10_000;
const RECEIPTS_MS = 5_000;

/** What a header can carry, as `is_token` of client_sdk/contract/text.py. */
const TOKEN = /^[\x21-\x7e]+$/;

/** The token callback failed: it is called again later. */
class TokenError extends Error {}

/** Core answered with another status than 200. */
class RefusedError extends Error {
  constructor(why) {
    super(why.detail);
    this.failure = why;
  }
}

/** Core and the event servers. */
export class Transport {
  #core;
  #source;
  #token = /** @type {string | null} */ (null);
  #about;
  #socket = new Socket();
  /** Whether Core has refused receipts: it takes them from owners only. */
  #noOwner = false;

  /**
   * @param {string} core Core's address, as location.origin
   * @param {string | (() => string | Promise<string>)} token an access token, or a function that gives one and is
   *   asked again when Core refuses the last one
   * @param {(() => string) | null} [about] the value of Yabam-Device, as "till-1; mode=live; pending=0"; null: send none
   */
  constructor(core, token, about = null) {
    this.#core = core;
    this.#source = typeof token === "function" ? token : () => token;
    this.#about = about;
  }

  /**
   * Core's address.
   *
   * @returns {string}
   */
  get core() {
    return this.#core;
  }

  /**
   * The access token.
   *
   * @param {boolean} [anew] the last one was refused
   * @throws {Error} the callback failed
   */
  async accessToken(anew = false) {
    if (anew) this.#token = null;
    return (await this.#authorization()).slice("Bearer ".length);
  }

  /** The token function has a new token. */
  renew() {
    this.#token = null;
  }

  /**
   * Core has refused a token in a request outside this class.
   *
   * @param {string} token the one that was sent; a newer one stays
   */
  refused(token) {
    if (this.#token === token) this.#token = null;
  }

  /**
   * Whether Core accepts another token for these channels.
   *
   * @param {string} token the access token to try; it is not kept
   * @param {string[]} channels their full names
   * @returns {Promise<"taken" | "refused" | "unreachable">}
   */
  async check(token, channels) {
    if (!TOKEN.test(token.trim())) return "refused"; // no header can carry it
    const query = new URLSearchParams(channels.map((channel) => ["channel", channel]));
    query.set("orders", "1");
    try {
      const response = await ask(`${this.#core}/v1/sync?${query}`, {
        headers: { authorization: `Bearer ${token}` },
        signal: AbortSignal.timeout(CHECK_MS),
      });
      await response.body?.cancel();
      if (response.ok) return "taken";
      return response.status === 401 || response.status === 403 ? "refused" : "unreachable";
    } catch {
      return "unreachable";
    }
  }

  /**
   * Calls Fetch Sync, as a StartSync says: the input that it leads to. It throws nothing that a server caused.
   *
   * @param {import("./machine/messages.js").StartSync} command says what to ask for
   * @param {AbortSignal} signal ends it; its input does not count then
   * @returns {Promise<import("./machine/messages.js").Input>} a SyncDone or a SyncFailed
   */
  async sync(command, signal) {
    const { generation } = command;
    try {
      if (command.newToken) this.#token = null;
      const about = this.#about === null ? {} : { "yabam-device": this.#about() };
      const assembly = new Assembly(...(await this.#ask(questionOf(command), signal, about)));
      while (assembly.next !== null) {
        const query = new URLSearchParams({ page: assembly.next, orders: String(MAX_ORDERS) });
        assembly.add(...(await this.#ask(query, signal)));
      }
      return { type: "SyncDone", generation, response: assembly.answer };
    } catch (error) {
      return { type: "SyncFailed", generation, failure: failureOf(error) };
    }
  }

  /** Sends the request. Returns the decoded answer and its length in bytes. */
  async #ask(query, signal, headers = {}) {
    const authorization = await this.#authorization();
    const response = await ask(`${this.#core}/v1/sync?${query}`, {
      signal,
      headers: { authorization, ...headers },
    });
    if (response.status !== 200) throw await refused(response, "unauthorized");
    const [text, size] = await readText(response, MAX_SYNC_BYTES);
    return [checkMixedSync(parsed(text)), size];
  }

  async #authorization() {
    try {
      this.#token ??= await this.#source();
    } catch (error) {
      throw new TokenError(`the token callback failed: ${error?.message ?? error}`);
    }
    // As fetch does with a header's value: what answers with a token often ends it with a line's end.
    if (typeof this.#token === "string") this.#token = this.#token.trim();
    if (!TOKEN.test(this.#token ?? "")) {
      this.#token = null;
      // The text does not quote it, as it may be a secret.
      throw new TokenError("this is not an access token: it is empty, or has characters that no token has");
    }
    return `Bearer ${this.#token}`;
  }

  /**
   * Opens a stream, as an OpenStream says, and hands its inputs to `put`, a StreamEnded last.
   *
   * @param {import("./machine/messages.js").OpenStream} command says where and from which cursor on
   * @param {AbortSignal} signal ends it
   * @param {(input: import("./machine/messages.js").Input) => void} put called with each input; if it throws, the
   *   stream ends
   */
  async stream(command, signal, put) {
    const { generation } = command;
    let why = failure("unreachable", "the stream ended without a bye");
    try {
      const url = addressOf(command.url);
      url.searchParams.set("ticket", command.ticket);
      url.searchParams.set("lastEventId", formatCursor(Object.entries(command.cursor)));
      if (command.via === "websocket") {
        why = failure("unreachable", "the socket ended without a bye");
        await this.#socket.read(socketUrl(url), generation, signal, put);
        put({ type: "StreamEnded", generation, failure: why });
        return;
      }
      const response = await ask(url, {
        signal,
        headers: { accept: "text/event-stream" },
      });
      if (response.status !== 200) throw await refused(response, "ticket");
      await readStream(generation, response, put);
    } catch (error) {
      why = failureOf(error);
    }
    put({ type: "StreamEnded", generation, failure: why });
  }

  /**
   * Reports what this device has applied of stores' channels. Returns whether Core accepted it.
   *
   * @param {{positions: {[channel: string]: number}, epoch: string}} news the last seq of each channel, and the
   *   epoch of these seqs
   * @returns {Promise<boolean>} true, too, if there is nothing to report, or a retry is no use
   */
  async receipts({ positions, epoch }) {
    const stores = Object.entries(positions).filter(([channel]) => channel.startsWith("store:"));
    if (stores.length === 0 || this.#about === null || this.#noOwner) return true;
    const cursor = formatCursor(stores);
    if (this.#socket.received(cursor)) return true;
    return this.#tell("/v1/receipts", { cursor, epoch });
  }

  /**
   * Reports which orders this device has shown to a person. Returns whether Core accepted it.
   *
   * @param {string[]} orders their ids
   * @returns {Promise<boolean>} true, too, if the device has no name, or a retry is no use
   */
  async seen(orders) {
    if (this.#about === null || this.#noOwner) return true;
    return this.#tell("/v1/orders/seen", { orders });
  }

  async #tell(path, body) {
    try {
      const response = await ask(`${this.#core}${path}`, {
        method: "POST",
        headers: {
          authorization: await this.#authorization(),
          "content-type": "application/json",
          "yabam-device": this.#about(),
        },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(RECEIPTS_MS),
      });
      await response.body?.cancel();
      this.#noOwner = response.status === 403;
      // A refusal, or an older Core that does not know this path: a retry is no use.
      return response.status < 500 && response.status !== 429;
    } catch {
      return false;
    }
  }

  /**
   * Sends a command about orders: {ok, status, order, problem, detail}.
   *
   * `order` is the current order, if the answer has it; `problem` is the refusal's name.
   *
   * @param {string} path as "/v1/orders/{id}/transitions"
   * @param {object} body what becomes the JSON
   * @param {{key: string, version?: number | null, updatedAt?: string | null, timeout?: number}} options `key`: the
   *   Idempotency-Key; `version`: of the order that the sender has seen, null: any; `updatedAt`: when Core made that
   *   version; `timeout` in milliseconds
   * @returns {Promise<{ok: boolean, status: number, repeated: boolean, order: import("./types.js").Order | null, problem: string | null,
   *   detail: string}>}
   * @throws {Error} there is no usable answer: send it again with the same `key`; Core does it once
   */
  async command(path, body, { key, version = null, updatedAt = null, timeout = 10_000 }) {
    const headers = {
      authorization: await this.#authorization(),
      "content-type": "application/json",
      "idempotency-key": key,
    };
    if (version !== null) headers["if-match"] = `"${version}"`;
    if (updatedAt !== null) headers["yabam-if-updated-at"] = updatedAt;
    const response = await ask(this.#core + path, {
      method: "POST",
      headers,
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(timeout),
    });
    const { ok, status, statusText } = response;
    const [text] = await readText(response, MAX_COMMAND_BYTES);
    const repeated = response.headers.get("idempotency-replayed") === "true";
    if (ok) return { ok, status, repeated, order: checkOrder(parsed(text)), problem: null, detail: "" };
    const problem = readProblem(text);
    if (problem === null) return { ok, status, repeated, order: null, problem: null, detail: statusText };
    const order = problem.order ? checkOrder(problem.order) : null;
    return { ok, status, repeated, order, problem: slugOf(problem), detail: shortened(problem.detail) };
  }
}

/** The query of a sync. */
function questionOf({ after, epoch, wait }) {
  const query = new URLSearchParams();
  for (const channel of Object.keys(after)) query.append("channel", channel);
  query.set("orders", String(MAX_ORDERS));
  const known = Object.entries(after).filter(([, seq]) => seq !== null);
  if (known.length > 0) query.set("lastEventId", formatCursor(known));
  if (epoch !== null) query.set("epoch", epoch);
  if (wait > 0) query.set("wait", String(Number(wait.toFixed(2))));
  return query;
}

/**
 * A stream's address, or a path of the page's own host.
 *
 * @throws ContractError it is not an HTTP URL
 */
function addressOf(text) {
  let url = /** @type {URL | null} */ (null);
  try {
    url = new URL(text, document.baseURI);
  } catch {
    // As with a port beyond 65535.
  }
  if (url !== null && ["http:", "https:"].includes(url.protocol) && url.port !== "0") return url;
  throw new ContractError(`the stream's address ${JSON.stringify(text.slice(0, 80))} is not an HTTP URL`);
}

async function refused(response, unauthorized) {
  // Even if the body is too long, the status says what to do.
  const [text] = await readText(response, MAX_PROBLEM_BYTES).catch(() => ["", 0]);
  return new RefusedError(refusal(response, text, unauthorized));
}

function failureOf(error) {
  if (error instanceof RefusedError) return error.failure;
  const detail = shortened(String(error?.message ?? error));
  if (error instanceof ContractError) return failure("malformed", detail);
  return failure(error instanceof TokenError ? "token" : "unreachable", detail);
}
