// Who is signed in: a token from the address's fragment, from the form, or kept from before.
//
// A fragment is never sent to a server; it is taken out of the address at once, so that neither the
// history nor a copied address holds it. Only "keep me signed in" stores the token beyond the tab.

import { subjectOf } from "../../yabam/state/subject.js";
import { ofBrowser, ofTab } from "../storage.js";

/** What is wrong with a token, as the name of a text. */
export class TokenError extends Error {}

/**
 * Reads a token's claims, which Core verifies; here they only tell what to ask for.
 *
 * Whether it has expired is for Core to say: this device's clock may be wrong.
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

/** Whether `after` is a later token of the holder of `before`, good for all of these stores. */
export function isSuccessor(before, after, stores) {
  const same = ["role", "subject", "table"].every((name) => before[name] === after[name]);
  return same && (after.stores.includes("*") || stores.every((id) => after.stores.includes(id)));
}

/** Why Core refused a token, as the name of a text. `now` need not be right: both texts help. */
export const refusalOf = (session, now) =>
  session.expiresAt <= now ? "tokenExpired" : "tokenRefused";

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
  const token = fragment.get("token");
  if (token === null) return null;
  history.replaceState(null, "", location.pathname + location.search);
  return { token, stores: fragment.get("store") };
}

/**
 * Listens for links that are opened in a tab where the page is already, which loads nothing.
 *
 * @param renew (token) → a promise of whether the page goes on with it; if not, the page is loaded
 *   anew with the link
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

/** The token in a text that is one, or that is a link with one. */
export function tokenIn(text) {
  const fragment = text.trim().split("#")[1];
  return (fragment && new URLSearchParams(fragment).get("token")) ?? text.trim();
}

/** Loads the page anew; `takeProblem` then gives the problem, where storage is forbidden too. */
export function reloadWith(problem) {
  history.replaceState({ problem }, "");
  location.reload();
}

/** The problem, the name of a text, with which the page was loaded anew; or null. */
export function takeProblem() {
  const problem = history.state?.problem ?? null;
  if (problem !== null) history.replaceState(null, "");
  return problem;
}

/** Takes everything out of the browser that pages of these kinds kept of orders and actions. */
export function forget(...kinds) {
  for (const drawer of [ofTab, ofBrowser]) {
    for (const key of drawer.keys) {
      if (kinds.some((kind) => key.startsWith(`yabam.${kind}.`))) drawer.remove(key);
    }
  }
}

/**
 * Takes away what the browser keeps of the edits of a token's subject: a promise of the end of it.
 *
 * Where another tab does not let go of it, it ends at once, and the browser takes it away with that tab.
 */
export function forgetEdits(token) {
  return new Promise((/** @type {(closed?: Event) => void} */ resolve) => {
    try {
      const request = indexedDB.deleteDatabase(`yabam ${subjectOf(token)}`);
      request.onsuccess = request.onerror = request.onblocked = resolve;
    } catch {
      // A browser that forbids storage keeps nothing.
      resolve();
    }
  });
}

/** Keeps what somebody signed in with, by the page's role. */
export class Kept {
  #key;

  constructor(role) {
    this.#key = `yabam.session.${role}`;
  }

  /** {token, stores}, or null. This tab's own comes first. */
  load() {
    const all = [ofTab, ofBrowser].map((drawer) => drawer.readJson(this.#key));
    return all.find((kept) => typeof kept?.token === "string") ?? null;
  }

  save(signedIn, beyondTheTab) {
    ofTab.writeJson(this.#key, signedIn);
    if (beyondTheTab) ofBrowser.writeJson(this.#key, signedIn);
    else ofBrowser.remove(this.#key);
  }

  /** Puts a new token in the place of `before`, wherever that is kept. */
  renew(before, token) {
    for (const drawer of [ofTab, ofBrowser]) {
      const kept = drawer.readJson(this.#key);
      if (kept?.token === before) drawer.writeJson(this.#key, { ...kept, token });
    }
  }

  clear() {
    ofTab.remove(this.#key);
    ofBrowser.remove(this.#key);
  }
}
