// The entry point of the guest's page: opens it by a table's link, and closes it when the link is no longer valid.

import { byId } from "../shared/dom.js";
import { onLanguage, switchLanguage, t, translate } from "../shared/language.js";
import {
  StoredSignIn, TokenError, forget, forgetEdits, onLink, readToken, reloadWith, takeFragment, takeProblem,
} from "../shared/sign_in/session.js";
import { endLeftOver } from "./locked_phone.js";
import { TablePage } from "./page.js";
import "./texts.js";

const kept = new StoredSignIn("table");
let page = null;
let isLeaving = false;

async function leave(problem) {
  if (isLeaving) return;
  isLeaving = true;
  byId("table").hidden = true;
  await page.stop();
  kept.clear();
  forget("guest", "table");
  // The next party's token has the same subject: its page would otherwise show and send the edits of this party.
  if (problem === "visitEnded") await forgetEdits(page.token);
  reloadWith(problem);
}

function ask(problem) {
  byId("table").hidden = true;
  byId("sign-in").hidden = false;
  byId("sign-in-error").textContent = problem === null ? "" : t(problem);
}

function open() {
  onLink(async (token) => page !== null && page.takeLink(token));
  const problem = takeProblem();
  const found = takeFragment() ?? kept.load();
  if (found === null) {
    endLeftOver().catch(() => {});
    return ask(problem);
  }
  try {
    const session = readToken(found.token, "table");
    if (session.table === null) throw new TokenError("tokenRole");
    kept.save({ token: session.token }, false);
    byId("table").hidden = false;
    page = new TablePage(session, kept, leave);
    onLanguage(() => page.show());
    return page.start();
  } catch (problem) {
    if (!(problem instanceof TokenError)) throw problem;
    return ask(problem.message);
  }
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-action=language]")) switchLanguage();
});
translate();
open();
