// A page's requests to Core: past every cache and without cookies.

import { ask } from "../../yabam/transport/http_bodies.js";

const ANSWER_MS = 10_000;

/**
 * What Core answers, whatever its status.
 *
 * @param path what is asked for
 * @param token who asks; null: anybody may
 * @param {RequestInit & {json?: unknown}} options as of `fetch`; `json`: a body
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
