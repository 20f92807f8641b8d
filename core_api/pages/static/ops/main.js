// The ops page's entry point: signs a person in, then opens the page.

import { byId } from "../shared/dom.js";
import { onLanguage, switchLanguage, t, translate } from "../shared/language.js";
import {
  StoredSignIn, TokenError, onLink, readToken, refusalOf, reloadWith, takeFragment, takeProblem,
} from "../shared/sign_in/session.js";
import { losesData } from "../shared/storage.js";
import "./texts.js";
import { OpsPage } from "./page.js";

const kept = new StoredSignIn("ops");
let page = null;

function ask(problem) {
  byId("ops").hidden = true;
  byId("sign-in").hidden = false;
  byId("sign-in-error").textContent = problem === null ? "" : t(problem);
  byId("token").focus();
}

function open(token) {
  try {
    const session = readToken(token, "ops");
    kept.save({ token: session.token }, false);
    byId("sign-in").hidden = true;
    byId("token").value = "";
    page = new OpsPage(session.token, (problem) =>
      leave(problem === "tokenRefused" ? refusalOf(session, Date.now()) : problem),
    );
    page.start();
  } catch (problem) {
    if (!(problem instanceof TokenError)) throw problem;
    ask(problem.message);
  }
}

// Reloading the page is the surest way to leave nothing of the signed-in person behind.
function leave(problem) {
  page?.stop();
  kept.clear();
  reloadWith(problem);
}

const doing = {
  language: switchLanguage,
  "sign-out": () => leave(null),
  acknowledge: ({ alert }) => page.acknowledge(alert),
};
document.addEventListener("click", (event) => {
  const pressed = event.target.closest("[data-action]")?.dataset;
  if (pressed) doing[pressed.action](pressed);
});
byId("spans").addEventListener("change", (event) => page.showSpan(event.target.value));
byId("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  open(byId("token").value);
});

onLanguage(() => page?.show());
translate();
document.title = t("title");
byId("storage").hidden = !losesData;
onLink(async () => false);
const problem = takeProblem();
const found = takeFragment() ?? kept.load();
if (found === null) ask(problem);
else open(found.token);
