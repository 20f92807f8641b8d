// The HTTP side: syncs, streams and commands; answers and errors made into the machine's inputs.
//
// As client_sdk/transport/http_transport.py. Every read has a bound: an answer MAX_SYNC_BYTES, all
// answers of one sync together MAX_PAGED_SYNC_BYTES; transport/http_bodies.js reads within them.
// Whatever a server answers becomes an input: an error of a server's making never leaves this module.

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

/** The token callback gave none: it is asked again later. */
class TokenError extends Error {}

/** Core answers something else than 200. */
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
  /** Whether Core takes receipts from owners only, and this is none. */
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
   * @throws {Error} the callback gave none
   */
  async accessToken(anew = false) {
    if (anew) this.#token = null;
    return (await this.#authorization()).slice("Bearer ".length);
  }

  /** The function that gives tokens has another one. */
  renew() {
    this.#token = null;
  }

  /**
   * Core has refused this token, which was sent by another way than this.
   *
   * @param {string} token
   */
  refused(token) {
    if (this.#token === token) this.#token = null;
  }

  /**
   * Whether Core takes another token for these channels.
   *
   * @param {string} token
   * @param {string[]} channels
   * @returns {Promise<"taken" | "refused" | "unreachable">}
   */
  async check(token, channels) {
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
   * Calls Fetch Sync, as a StartSync says: the input that it leads to.
   *
   * @param {import("./machine/messages.js").StartSync} command
   * @param {AbortSignal} signal
   * @returns {Promise<import("./machine/messages.js").Input>}
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

  /** The answer and its length in bytes. */
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
    return `Bearer ${this.#token}`;
  }

  /**
   * Opens a stream, as an OpenStream says, and hands its inputs to `put`, a StreamEnded last.
   *
   * @param {import("./machine/messages.js").OpenStream} command
   * @param {AbortSignal} signal
   * @param {(input: import("./machine/messages.js").Input) => void} put
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
   * Says what this device has applied of stores' channels. Returns whether it was taken.
   *
   * @param {{positions: {[channel: string]: number}, epoch: string}} news
   * @returns {Promise<boolean>}
   */
  async receipts({ positions, epoch }) {
    const stores = Object.entries(positions).filter(([channel]) => channel.startsWith("store:"));
    if (stores.length === 0 || this.#about === null || this.#noOwner) return true;
    const cursor = formatCursor(stores);
    if (this.#socket.received(cursor)) return true;
    return this.#tell("/v1/receipts", { cursor, epoch });
  }

  /** Says which orders this device has shown to a person. Returns whether it was taken. */
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
      // What is refused, or not known to an older Core, is not taken by asking again.
      return response.status < 500 && response.status !== 429;
    } catch {
      return false;
    }
  }

  /**
   * Sends a command about orders: {ok, status, order, problem, detail}.
   *
   * `order` is the order as it stands now, if the answer tells; `problem` is the refusal's name.
   * It throws when there is no answer: send it again with the same `key`, it is done once.
   *
   * @param {string} path as "/v1/orders/{id}/transitions"
   * @param {object} body what becomes the JSON
   * @param {{key: string, version?: number | null, updatedAt?: string | null, timeout?: number}} options `key`: the
   *   Idempotency-Key; `version`: of the order that the sender has seen, null: any; `updatedAt`: when Core made that
   *   version; `timeout` in milliseconds
   * @returns {Promise<{ok: boolean, status: number, repeated: boolean, order: import("./types.js").Order | null, problem: string | null,
   *   detail: string}>}
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
 * @throws ContractError it is none of HTTP
 */
function addressOf(text) {
  let url = /** @type {URL | null} */ (null);
  try {
    url = new URL(text, document.baseURI);
  } catch {
    // As with a port beyond 65535.
  }
  if (url !== null && ["http:", "https:"].includes(url.protocol) && url.port !== "0") return url;
  throw new ContractError(`the stream's address ${JSON.stringify(text.slice(0, 80))} is none of HTTP`);
}

async function refused(response, unauthorized) {
  // If it says too much, its status still says what to do.
  const [text] = await readText(response, MAX_PROBLEM_BYTES).catch(() => ["", 0]);
  return new RefusedError(refusal(response, text, unauthorized));
}

function failureOf(error) {
  if (error instanceof RefusedError) return error.failure;
  const detail = shortened(String(error?.message ?? error));
  if (error instanceof ContractError) return failure("malformed", detail);
  return failure(error instanceof TokenError ? "token" : "unreachable", detail);
}
