// Core's HTTP API for edits, documents and commands; its answers as plain values.
//
// As client_sdk/shared_state/edits_api.py. An answer is one of these:
//     {type: "Answered", outcomes}     Core has settled the request's edits
//     {type: "Settled", n, epoch} it has settled a client's edits up to number n; the epoch null: Core does not
//                                      name it
//     {type: "Done", order, repeated, epoch} it has done a command, with this result; `repeated`: at an earlier
//                                      try; `epoch`: the order's log; null: the answer does not name it
//     {type: "Found", document}        null: there is none
//     {type: "NotTaken", problem, epoch}   it rejects the request, or refuses the command
//     {type: "Again", detail, retryAfter, unauthorized}    nothing is settled: try again later

import { ContractError, checkOrder, isEpoch, parsed } from "../contract/contract.js";
import { MAX_EDITS_ANSWER_BYTES } from "../contract/contract_lists.js";
import { readProblem, retryAfter, shortened, slugOf } from "../transport/http_failures.js";
import { ask, readText } from "../transport/http_bodies.js";
import { checkDocument } from "../contract/state/document.js";
import { checkOutcome } from "../contract/state/edit.js";

const TIMEOUT_MS = 30_000;
const NOT_TAKEN = [
  "bad-json",
  "bad-request",
  "invalid",
  "too-large",
  "edit-gap",
  "client-taken",
  "edit-mismatch",
];

/** Statuses that do not mean that the request itself is wrong: try again. */
const PASSING = [401, 408, 425, 429];

/** Core's API for edits, documents and commands. */
export class EditsApi {
  #core;
  #refused;

  /**
   * @param {string} core Core's address
   * @param {(token: string) => void} [refused] called with each token that Core refuses
   */
  constructor(core, refused = () => {}) {
    this.#core = core;
    this.#refused = refused;
  }

  /**
   * Sends edits.
   *
   * @param request the result of EditQueue.request
   * @param token an access token of the subject of the edits
   * @returns a promise of Answered, NotTaken or Again
   */
  send(request, token) {
    const read = ({ outcomes }) => {
      if (!Array.isArray(outcomes)) throw new ContractError("the answer has no outcomes");
      return { type: "Answered", outcomes: outcomes.map(checkOutcome) };
    };
    return this.#ask("/v1/edits", token, read, { method: "POST", body: request.body });
  }

  /**
   * Sends an order command.
   *
   * @param request the result of CommandQueue.request
   * @param token an access token of the subject of the command
   * @returns a promise of Done, NotTaken or Again
   */
  command({ method, path, key, version, updatedAt, body }, token) {
    const headers = { "idempotency-key": key };
    if (version !== null) headers["if-match"] = `"${version}"`;
    if (updatedAt !== null) headers["yabam-if-updated-at"] = updatedAt;
    const read = (order, answered) => {
      const repeated = answered.get("idempotency-replayed") === "true";
      return { type: "Done", order: checkOrder(order), repeated, epoch: epochOf(answered) };
    };
    return this.#ask(path, token, read, { method, headers, body, refused: commandRefusal });
  }

  /**
   * Asks up to which number Core has settled the client's edits.
   *
   * @param client the client id
   * @param token an access token of the subject of the edits
   * @returns a promise of Settled, NotTaken or Again
   */
  settled(client, token) {
    const read = ({ settled: n, epoch = null }) => {
      if (!Number.isSafeInteger(n) || !(epoch === null || isEpoch(epoch))) throw new ContractError("the answer has no number");
      return { type: "Settled", n, epoch };
    };
    return this.#ask(`/v1/edits?${new URLSearchParams({ client })}`, token, read);
  }

  /**
   * Gets a document at a version.
   *
   * @param channel the channel that carries it
   * @param key its key there
   * @param version null: the newest
   * @param token an access token that may follow the channel
   * @returns Found, NotTaken or Again
   */
  async document(channel, key, version, token) {
    const query = new URLSearchParams({ channel, key });
    if (version !== null) query.set("version", version);
    const read = (document) => {
      checkDocument(document);
      if (document.channel === channel && document.key === key) return { type: "Found", document };
      throw new ContractError("Core's answer contains a different document");
    };
    const answer = await this.#ask(`/v1/documents?${query}`, token, read);
    return answer.slug === "not-found" ? { type: "Found", document: null } : answer;
  }

  /**
   * A page of history: {events, next}, newest last; each event as Core sends it; `next` null: it is the last page.
   *
   * @param channel the channel that carries the document
   * @param key its key there
   * @param after events after this version, or the page after the one with this `next`
   * @param limit the most events of the page
   * @param token an access token that may follow the channel
   * @throws Error Core does not return it
   */
  async history(channel, key, after, limit, token) {
    const query = new URLSearchParams({ channel, key, after, limit });
    const page = await this.#read(`/v1/documents/events?${query}`, token);
    if (!Array.isArray(page.events)) throw new Error("the answer has no history");
    return { events: page.events, next: page.next ?? null };
  }

  /**
   * The definitions of the keys, as declared by Core's operator.
   *
   * @param token an access token
   * @throws Error Core does not return them
   */
  async definitions(token) {
    return (await this.#read("/v1/definitions", token)).definitions ?? [];
  }

  async #read(path, token) {
    const answer = await this.#ask(path, token, (value) => ({ type: "Read", value }));
    if (answer.type !== "Read") throw new Error(answer.detail ?? answer.problem.title);
    return answer.value;
  }

  async #ask(path, token, read, { method = "GET", headers: more = {}, body = null, refused = refusalOf } = {}) {
    const headers = { authorization: `Bearer ${token}`, ...more };
    if (body !== null) headers["content-type"] = "application/json";
    try {
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const response = await ask(this.#core + path, { method, headers, body, signal });
      const [text] = await readText(response, MAX_EDITS_ANSWER_BYTES);
      if (response.status === 401) this.#refused(token);
      return [200, 201].includes(response.status) ? read(parsed(text), response.headers) : refused(response, text);
    } catch (error) {
      return again(shortened(String(error?.message ?? error)));
    }
  }
}

/**
 * @param {string} detail
 * @param {number | null} [after]
 */
const again = (detail, after = null) => ({ type: "Again", detail, retryAfter: after, unauthorized: false });

function refusalOf({ status, headers }, text) {
  const problem = readProblem(text);
  const slug = problem && slugOf(problem);
  const refused = [400, 409, 413, 422].includes(status) && NOT_TAKEN.includes(slug);
  if (refused) return { type: "NotTaken", problem };
  const told = problem ? `${status} ${problem.title}: ${problem.detail}` : `${status}`;
  const answer = { ...again(shortened(told), retryAfter(headers)), unauthorized: status === 401 };
  return status === 404 ? { ...answer, slug } : answer;
}

function commandRefusal({ status, headers }, text) {
  const problem = readProblem(text);
  // A refusal without one of our problems is a proxy's, as during a deployment: try again.
  const isRefused = problem && status >= 400 && status < 500 && !PASSING.includes(status);
  if (isRefused && slugOf(problem) !== "conflict") {
    return { type: "NotTaken", problem: { ...problem, order: orderIn(problem) }, epoch: epochOf(headers) };
  }
  const answer = refusalOf({ status, headers }, text);
  return answer.type === "Again" ? answer : again(shortened(`${status}`), retryAfter(headers));
}

/** The log of the order in Core's answer; null: this Core is an older version, which does not name it. */
function epochOf(headers) {
  const told = headers.get("yabam-epoch");
  return isEpoch(told) ? told : null;
}

/** The order that a refusal contains; null: it contains none. */
function orderIn({ order }) {
  try {
    return checkOrder(order);
  } catch {
    return null;
  }
}
