// Who is signed in: a token from the address's fragment, from the form, or kept from before.
//
// A fragment is never sent to a server; it is taken out of the address at once, so that neither the
// history nor a copied address holds it. Only "keep me signed in" stores the token beyond the tab.

/** What is wrong with a token, as the name of a text. */
export class TokenError extends Error {}

/** Reads a token's claims, which Core verifies; here they only tell what to ask for. */
export function readToken(token, role, now) {
  const claims = claimsOf(token.trim());
  if (claims.role !== role) throw new TokenError("tokenRole");
  if (claims.exp * 1000 <= now) throw new TokenError("tokenExpired");
  return {
    token: token.trim(),
    subject: claims.sub,
    stores: claims.stores ?? [],
    table: claims.table ?? null,
    expiresAt: claims.exp * 1000,
  };
}

function claimsOf(token) {
  try {
    const body = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof claims.sub === "string" && Number.isFinite(claims.exp)) return claims;
  } catch {
    // Not three parts, not base64url or not JSON: one message serves all.
  }
  throw new TokenError("tokenMalformed");
}

/** The token in the address's fragment, with the stores that it names; null: there is none. */
export function takeFragment() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  // A link opened in a tab that is here already changes the fragment and loads nothing.
  addEventListener("hashchange", () => {
    if (new URLSearchParams(location.hash.slice(1)).has("token")) location.reload();
  });
  const token = fragment.get("token");
  if (token === null) return null;
  history.replaceState(null, "", location.pathname + location.search);
  return { token, stores: fragment.get("store") };
}

/** Takes everything out of the browser that pages of these kinds kept of orders and actions. */
export function forget(...kinds) {
  for (const storage of [sessionStorage, localStorage]) {
    for (const key of Object.keys(storage)) {
      if (kinds.some((kind) => key.startsWith(`yabam.${kind}.`))) storage.removeItem(key);
    }
  }
}

/** Keeps what somebody signed in with, by the page's role. */
export class Kept {
  #key;

  constructor(role) {
    this.#key = `yabam.session.${role}`;
  }

  /** {token, stores}, or null. This tab's own comes first. */
  load() {
    for (const storage of [sessionStorage, localStorage]) {
      try {
        const kept = JSON.parse(storage.getItem(this.#key));
        if (typeof kept?.token === "string") return kept;
      } catch {
        storage.removeItem(this.#key);
      }
    }
    return null;
  }

  save(signedIn, beyondTheTab) {
    const text = JSON.stringify(signedIn);
    sessionStorage.setItem(this.#key, text);
    if (beyondTheTab) localStorage.setItem(this.#key, text);
    else localStorage.removeItem(this.#key);
  }

  clear() {
    sessionStorage.removeItem(this.#key);
    localStorage.removeItem(this.#key);
  }
}
