// The subject of a token. As `subject_of` of client_sdk/state/store.py.

import { sha256 } from "../contract/contract.js";

const SUBJECT = /^[^\0-\x1f\x7f-\x9f\ud800-\udfff]{1,255}$/u;

/**
 * The token's subject as Core identifies it: role and name. The token is not verified. A token without them is
 * its own subject: each such token counts as a different one.
 *
 * @param {string} token an access token
 * @returns {string} as `owner:ana`
 */
export function subjectOf(token) {
  try {
    const base64 = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const { sub, role = "" } = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    const isNamed = typeof sub === "string" && SUBJECT.test(sub) && typeof role === "string";
    if (isNamed) return `${role}:${sub}`;
  } catch {
    // It is not a JSON Web Token.
  }
  const words = sha256(new TextEncoder().encode(token));
  return `token-${words.map((word) => word.toString(16).padStart(8, "0")).join("")}`;
}
