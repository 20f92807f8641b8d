// The terminal's entry point: signs an owner in, then opens the desk.

import { byId } from "../shared/dom.js";
import { onLanguage, switchLanguage, t, translate } from "../shared/language.js";
import { startWorker } from "../shared/worker.js";
import { onLink, reloadWith } from "../shared/sign_in/session.js";
import "./texts.js";
import { Desk } from "./desk.js";
import { following, problem } from "./first.js";
import { Following } from "./following.js";
import { endUnwanted } from "./kitchen/phone.js";
import { keepAwake } from "./screen.js";
import { listenForKeys, showHelp } from "./keys.js";
import { askToken, kept, signOut } from "./signin.js";

let desk = null;

function open(followed) {
  byId("terminal").hidden = false;
  desk = new Desk(followed, kept, (why) => leave(why));
  desk.start();
  listenForKeys(desk);
  keepAwake();
}

// Reloading the page is the surest way to leave nothing of the last owner behind. An owner whose token was refused is
// asked for another; the unsent actions wait for it.
function leave(why) {
  if (why === null && desk?.pending && !confirm(t("leaving"))) return;
  // An owner who signs out receives no more notifications.
  if (why === null) desk?.panel.endPushes();
  desk?.close();
  signOut(why === null, desk?.token);
  reloadWith(why);
}

const doing = {
  language: switchLanguage,
  sound: () => desk?.bell.toggle(),
  hush: () => desk?.bell.hush(),
  kitchen: () => desk?.panel.toggle(),
  printers: () => desk?.printers.open(),
  history: () => desk?.history.open(),
  help: showHelp,
  "sign-out": () => leave(null),
};
document.addEventListener("click", (event) => {
  const action = event.target.closest("[data-action]")?.dataset.action;
  if (action) doing[action]();
});

onLanguage(() => (document.title = desk === null ? t("title") : document.title));
translate();
byId("opening").remove();
document.title = t("title");
onLink(async (token) => desk !== null && desk.takeLink(token));
if (following === null) {
  askToken((who) => open(new Following(who)), problem === null ? null : t(problem));
  endUnwanted().catch(() => {});
} else open(following);
// So that this page can be opened without a network the next time.
startWorker("/terminal-worker.js", { scope: location.pathname });
