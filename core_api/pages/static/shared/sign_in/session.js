// Who is signed in: by a token from the address's fragment, from the form, or stored earlier.
//
// A browser never sends the fragment to a server. It is removed from the address at once, so that neither the history
// nor a copied address contains the token. The token is stored beyond the tab only with "keep me signed in".

import { subjectOf } from "../../yabam/state/subject.js";
import { ofBrowser, ofTab } from "../storage.js";

/** A token cannot be used; the message is the name of the text that says why. */
export class TokenError extends Error {}

/**
 * Reads a token's claims. The page only learns from them what to ask for; Core verifies them.
 *
 * Expiry is not checked here, because this device's clock may be wrong: Core decides that.
 *
 * @param token the token
 * @param role the role that it must have
 * @returns the session: {token, role, subject, stores, table, expiresAt}, with `table` null if there is none, and
 *   `expiresAt` in milliseconds since 1970
 * @throws TokenError it is no token, or of another role
 */
export function readToken(token, role) {
  const claims = claimsOf(token.trim());
  if (claims.role !== role) throw new TokenError("tokenRole");
  return {
    token: token.trim(),
    role,
    subject: claims.sub,
    stores: claims.stores ?? [],
    table: claims.table ?? null,
    expiresAt: claims.exp * 1000,
  };
}

/**
 * Whether one token can take another's place on this page.
 *
 * @param before the session so far, as readToken returns it
 * @param after the other token's session
 * @param stores the ids of the stores that the page follows
 * @returns true if both are of the same role, subject and table, and `after` is good for all these stores
 */
export function isSuccessor(before, after, stores) {
  const same = ["role", "subject", "table"].every((name) => before[name] === after[name]);
  return same && (after.stores.includes("*") || stores.every((id) => after.stores.includes(id)));
}

/**
 * Why Core has refused a token.
 *
 * @param session of the token, as readToken returns it
 * @param now the time in milliseconds since 1970; it may be wrong, because both texts tell the person what to do
 * @returns the name of a text
 */
export const refusalOf = (session, now) =>
  session.expiresAt <= now ? "tokenExpired" : "tokenRefused";

function claimsOf(token) {
  try {
    const body = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof claims.sub === "string" && Number.isFinite(claims.exp)) return claims;
  } catch {
    // It has not three parts, or is not base64url or JSON: the message is the same.
  }
  throw new TokenError("tokenMalformed");
}

/** Takes the token, and the stores that the link names, out of the address's fragment; null: there is no token. */
export function takeFragment() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const token = fragment.get("token");
  if (token === null) return null;
  history.replaceState(null, "", location.pathname + location.search);
  return { token, stores: fragment.get("store") };
}

/**
 * Listens for links that are opened in a tab that shows the page already: the browser then loads nothing.
 *
 * @param renew (token) → a promise of whether the page goes on with the token; if not, the page is reloaded with the
 *   link
 */
export function onLink(renew) {
  addEventListener("hashchange", async () => {
    const { hash } = location;
    const linked = takeFragment();
    if (linked === null || (await renew(linked.token))) return;
    history.replaceState(null, "", hash);
    location.reload();
  });
}

/** The token in a text, which is a token or a link that contains one. */
export function tokenIn(text) {
  const fragment = text.trim().split("#")[1];
  return (fragment && new URLSearchParams(fragment).get("token")) ?? text.trim();
}

/** Reloads the page. After that `takeProblem` returns the problem, even where storage is forbidden. */
export function reloadWith(problem) {
  history.replaceState({ problem }, "");
  location.reload();
}

/** The problem that the page was reloaded with, as the name of a text; or null. */
export function takeProblem() {
  const problem = history.state?.problem ?? null;
  if (problem !== null) history.replaceState(null, "");
  return problem;
}

/** Removes all that pages of these kinds have stored in the browser: orders and actions. */
export function forget(...kinds) {
  for (const storage of [ofTab, ofBrowser]) {
    for (const key of storage.keys) {
      if (kinds.some((kind) => key.startsWith(`yabam.${kind}.`))) storage.remove(key);
    }
  }
}

/**
 * Deletes the stored edits of a token's subject. Returns a promise that resolves when that is done.
 *
 * If another tab still uses them, the promise resolves at once, and the browser deletes them when that tab is closed.
 */
export function forgetEdits(token) {
  return new Promise((/** @type {(closed?: Event) => void} */ resolve) => {
    try {
      const request = indexedDB.deleteDatabase(`yabam ${subjectOf(token)}`);
      request.onsuccess = request.onerror = request.onblocked = resolve;
    } catch {
      // A browser that forbids storage has stored nothing.
      resolve();
    }
  });
}

/** Stores what somebody has signed in with, for pages of one role. */
export class StoredSignIn {
  #key;

  constructor(role) {
    this.#key = `yabam.session.${role}`;
  }

  /** The stored {token, stores}, or null. What this tab has stored comes first. */
  load() {
    const all = [ofTab, ofBrowser].map((storage) => storage.readJson(this.#key));
    return all.find((kept) => typeof kept?.token === "string") ?? null;
  }

  /**
   * Stores what somebody has signed in with.
   *
   * @param signedIn the token, and the stores if the page asks for them: {token, stores}
   * @param beyondTheTab whether it is stored for all tabs, also after this one is closed
   */
  save(signedIn, beyondTheTab) {
    ofTab.writeJson(this.#key, signedIn);
    if (beyondTheTab) ofBrowser.writeJson(this.#key, signedIn);
    else ofBrowser.remove(this.#key);
  }

  /**
   * Replaces a token wherever it is stored.
   *
   * @param before the stored token
   * @param token the token that replaces it
   */
  renew(before, token) {
    for (const storage of [ofTab, ofBrowser]) {
      const kept = storage.readJson(this.#key);
      if (kept?.token === before) storage.writeJson(this.#key, { ...kept, token });
    }
  }

  clear() {
    ofTab.remove(this.#key);
    ofBrowser.remove(this.#key);
  }
}
