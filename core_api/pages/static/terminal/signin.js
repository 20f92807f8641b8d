// Signing in: with which token, and for which stores.

import { byId } from "../shared/dom.js";
import { t } from "../shared/language.js";
import { StoredSignIn, TokenError, forget, forgetEdits, readToken, takeFragment } from "../shared/sign_in/session.js";
import { pairTablet } from "../shared/sign_in/core_tokens.js";
import { ofBrowser } from "../shared/storage.js";

/** Stores what the owner has signed in with. */
export const kept = new StoredSignIn("owner");

/** Who is signed in already, or has opened a link: {session, stores}; null: the owner must be asked. */
export function signedIn() {
  const linked = takeFragment();
  const found = linked ?? kept.load();
  if (found === null) return null;
  const made = attempt(found.token, found.stores ?? "", linked !== null);
  if (made === null) byId("token").value = found.token;
  return made;
}

/**
 * Shows the sign-in form.
 *
 * @param then called with {session, stores} when the owner has signed in
 * @param problem a text to show; null: none
 */
export function askToken(then, problem = null) {
  const form = byId("sign-in").querySelector("form");
  byId("sign-in").hidden = false;
  byId("keep").closest("label").hidden = !ofBrowser.keeps;
  if (problem !== null) byId("sign-in-error").textContent = problem;
  byId("token").focus();
  const enter = (made) => {
    if (made === null) return;
    byId("sign-in").hidden = true;
    byId("token").value = "";
    then(made);
  };
  form.onsubmit = (event) => {
    event.preventDefault();
    enter(attempt(byId("token").value, byId("stores").value, true));
  };
  byId("pair").onsubmit = async (event) => {
    event.preventDefault();
    enter(await pair(byId("pair-store").value.trim(), byId("pair-code").value.replaceAll(" ", "")));
  };
}

/** Signs a new tablet in with the code of another terminal. Returns a promise of {session, stores}, or of null. */
async function pair(store, code) {
  byId("pair-error").textContent = "";
  const { token, problem } = await pairTablet(store, code);
  if (problem !== undefined) {
    byId("pair-error").textContent = t(problem);
    return null;
  }
  // A code is good only once, so its token is stored beyond the tab.
  byId("keep").checked = true;
  return attempt(token, store, true);
}

/**
 * Removes the stored token.
 *
 * @param everything whether stored orders and unsent actions are removed, too
 * @param token whose stored edits are deleted with `everything`; null: none
 */
export function signOut(everything, token = null) {
  kept.clear();
  if (!everything) return;
  forget("terminal", "desk");
  if (token !== null) forgetEdits(token);
}

function attempt(token, named, save) {
  const error = byId("sign-in-error");
  error.textContent = "";
  try {
    const session = readToken(token, "owner");
    const stores = storesOf(session, named);
    // A session that was stored stays stored where it was.
    if (save) kept.save({ token: session.token, stores: stores.join() }, byId("keep").checked);
    return { session, stores };
  } catch (problem) {
    if (!(problem instanceof TokenError)) throw problem;
    error.textContent = t(problem.message);
    return null;
  }
}

function storesOf(session, named) {
  const wanted = named.split(/[\s,]+/).filter((store) => store !== "");
  const every = session.stores.includes("*");
  if (wanted.length === 0 && (every || session.stores.length === 0)) {
    byId("stores-row").hidden = false;
    throw new TokenError("storesNeeded");
  }
  for (const store of wanted) {
    const good = /^[A-Za-z0-9_.-]{1,64}$/.test(store) && (every || session.stores.includes(store));
    if (!good) throw Object.assign(new TokenError("storesOther"), { values: { store } });
  }
  return wanted.length > 0 ? wanted : session.stores;
}
