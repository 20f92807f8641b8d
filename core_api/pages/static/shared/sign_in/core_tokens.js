// Tokens that Core makes: the next one of who is signed in, and a new tablet's by its code.

import { fetchCore } from "../core/fetch_core.js";

/** What Core answers: {ok, status, body}; status 0: nothing. */
async function post(path, token, json) {
  try {
    const response = await fetchCore(path, token, { method: "POST", json });
    return { ok: response.ok, status: response.status, body: await response.json() };
  } catch {
    return { ok: false, status: 0, body: null };
  }
}

/** The token after this one, or null: Core gives none, or does not answer. */
export async function nextToken(token) {
  const { ok, body } = await post("/v1/tokens/renewals", token);
  return ok ? body.token : null;
}

/** A code for a new tablet of the store: {code, expires_in_s}, or null. */
export async function offerPairing(token, store) {
  const { ok, body } = await post(`/v1/stores/${encodeURIComponent(store)}/pairings`, token);
  return ok ? body : null;
}

/** The token of a new tablet: {token}, or {problem}, the name of a text. */
export async function pairTablet(store, code) {
  const { ok, status, body } = await post("/v1/tokens/pairings", null, { store, code });
  if (ok) return { token: body.token };
  const isAway = status === 0 || status === 429 || status >= 500;
  return { problem: isAway ? "pairUnreachable" : "pairWrong" };
}
