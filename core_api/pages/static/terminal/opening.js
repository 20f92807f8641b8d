// Says in the browser's language that the terminal is opening, while the other scripts are being loaded.

import { byId } from "../shared/dom.js";
import { addTexts, t } from "../shared/language.js";
import { ofBrowser, ofTab } from "../shared/storage.js";

addTexts({ opening: ["여는 중", "Opening"], openingBoard: ["연결 중", "Connecting"] });
// An owner who is signed in, or has opened a link with a token, is about to see the board; others will see the
// sign-in form.
const isSignedIn = location.hash.includes("token=") || [ofTab, ofBrowser].some(({ keys }) => keys.includes("yabam.session.owner"));
byId("opening-mode").textContent = t(isSignedIn ? "openingBoard" : "opening");
byId("opening-board").hidden = !isSignedIn;
