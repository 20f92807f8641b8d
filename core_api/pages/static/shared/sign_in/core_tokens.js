// Tokens that Core makes: the next one of who is signed in, and a new tablet's by its code.

const TIMEOUT_MS = 10_000;

/** What Core answers: {ok, status, body}; status 0: nothing. */
async function post(path, token, body = null) {
  try {
    const response = await fetch(path, {
      method: "POST",
      cache: "no-store",
      credentials: "omit",
      headers: { "content-type": "application/json", ...(token === null ? {} : { authorization: `Bearer ${token}` }) },
      body: body === null ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
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
