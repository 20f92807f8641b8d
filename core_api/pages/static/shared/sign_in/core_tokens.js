// Tokens that Core issues: the next token of a signed-in person, and the token of a new tablet, by a code.

import { fetchCore } from "../core/fetch_core.js";

/** Posts to Core. Returns a promise of {ok, status, body}; status 0: there was no answer. */
async function post(path, token, json) {
  try {
    const response = await fetchCore(path, token, { method: "POST", json });
    return { ok: response.ok, status: response.status, body: await response.json() };
  } catch {
    return { ok: false, status: 0, body: null };
  }
}

/** The token that follows this one, or null: Core gives none, or does not answer. */
export async function nextToken(token) {
  const { ok, body } = await post("/v1/tokens/renewals", token);
  return ok ? body.token : null;
}

/**
 * Asks Core for a code that signs a new tablet in.
 *
 * @param token the owner's bearer token
 * @param store the store's id
 * @returns a promise of {code, expires_in_s}; of null if Core gives none or does not answer
 */
export async function offerPairing(token, store) {
  const { ok, body } = await post(`/v1/stores/${encodeURIComponent(store)}/pairings`, token);
  return ok ? body : null;
}

/**
 * Signs a new tablet in.
 *
 * @param store the store's id
 * @param code the code that another terminal shows
 * @returns a promise of {token}, or of {problem} with the name of a text
 */
export async function pairTablet(store, code) {
  const { ok, status, body } = await post("/v1/tokens/pairings", null, { store, code });
  if (ok) return { token: body.token };
  const isAway = status === 0 || status === 429 || status >= 500;
  return { problem: isAway ? "pairUnreachable" : "pairWrong" };
}
