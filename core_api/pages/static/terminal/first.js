// The first script of the terminal's page: it signs in and sends the first requests to Core while the others are
// still being loaded.

import "./texts.js";
import { takeProblem } from "../shared/sign_in/session.js";
import { Following } from "./following.js";
import { signedIn } from "./signin.js";

/** Why the page was reloaded, as the name of a text; or null. */
export const problem = takeProblem();
const who = signedIn();
/** The Following of the owner who is signed in already; null: somebody has to sign in. */
export const following = who === null ? null : new Following(who);
