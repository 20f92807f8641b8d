// Says in the browser's language that the terminal opens, before the rest of the page has come.

import { byId } from "../shared/dom.js";
import { addTexts, t } from "../shared/language.js";
import { ofBrowser, ofTab } from "../shared/storage.js";

addTexts({ opening: ["여는 중", "Opening"], openingBoard: ["연결 중", "Connecting"] });
// Whoever is signed in, or comes by a link, is about to see the board; others sign in.
const isSignedIn = location.hash.includes("token=") || [ofTab, ofBrowser].some(({ keys }) => keys.includes("yabam.session.owner"));
byId("opening-mode").textContent = t(isSignedIn ? "openingBoard" : "opening");
byId("opening-board").hidden = !isSignedIn;
