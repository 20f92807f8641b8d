// A page's requests to Core, without caches and cookies.

import { ask } from "../../yabam/transport/http_bodies.js";

const ANSWER_MS = 10_000;

/**
 * Sends a request to Core.
 *
 * @param path the request's path
 * @param token the bearer token; null: the request needs none
 * @param {RequestInit & {json?: unknown}} options as of `fetch`; `json`: the body. Without a `signal` the request
 *   ends after ten seconds
 * @returns a promise of the response, whatever its status
 * @throws Error Core does not answer, or not in time
 */
export function fetchCore(path, token, { json, headers, signal = AbortSignal.timeout(ANSWER_MS), ...options } = {}) {
  const authorization = token === null ? {} : { authorization: `Bearer ${token}` };
  return ask(path, {
    ...{ signal, ...options },
    headers: { ...authorization, ...(json && { "content-type": "application/json" }), ...headers },
    body: json && JSON.stringify(json),
  });
}
