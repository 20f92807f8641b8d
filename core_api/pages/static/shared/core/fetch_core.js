// A page's requests to Core: past every cache and without cookies.

const ANSWER_MS = 10_000;

/**
 * What Core answers, whatever its status.
 *
 * @param path what is asked for @param token who asks @param options as of `fetch`; `json`: a body
 * @throws Error Core does not answer, or not in time
 */
export function fetchCore(path, token, { json, headers, signal = AbortSignal.timeout(ANSWER_MS), ...options } = {}) {
  return fetch(path, {
    ...{ cache: "no-store", credentials: "omit", signal, ...options },
    headers: { authorization: `Bearer ${token}`, ...(json && { "content-type": "application/json" }), ...headers },
    body: json && JSON.stringify(json),
  });
}
