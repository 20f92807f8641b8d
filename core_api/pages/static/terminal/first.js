// What comes first of the terminal's page: it signs in and asks Core, while the rest is still on its way.

import "./texts.js";
import { takeProblem } from "../shared/sign_in/session.js";
import { Following } from "./following.js";
import { signedIn } from "./signin.js";

/** Why the page was loaded anew, as the name of a text; or null. */
export const problem = takeProblem();
const who = signedIn();
/** The Following of who is signed in already; null: somebody has to sign in. */
export const following = who === null ? null : new Following(who);
