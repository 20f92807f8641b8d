// Converts an answer other than 200 into a failure. Pure.
//
// As client_sdk/transport/http_failures.py.

import { MAX_DETAIL_CHARS, MAX_RETRY_AFTER_S, PROBLEMS } from "../contract/contract_lists.js";
import { failure } from "../machine/messages.js";

const PREFIX = "urn:yabam:problem:";
/** As Sat, 21 Nov 2026 12:00:00 GMT; Date.parse alone takes nearly any text. */
const DATE = /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/;

/**
 * Reads a problem's body (RFC 9457); null if it is not one, as a proxy's page.
 *
 * @param text the body
 */
export function readProblem(text) {
  try {
    const problem = JSON.parse(text);
    const { type, title, status, detail = "" } = problem ?? {};
    const texts = [type, title, detail].every((x) => typeof x === "string");
    return texts && Number.isInteger(status) ? { ...problem, detail } : null;
  } catch {
    return null;
  }
}

/**
 * The problem's name without its URN, as docs/protocol.md lists them.
 *
 * @param problem has a `type`, as readProblem returns it
 */
export function slugOf(problem) {
  const { type } = problem;
  return type.startsWith(PREFIX) ? type.slice(PREFIX.length) : type;
}

/**
 * The failure that an answer means.
 *
 * @param response its `status`, `statusText` and `headers`
 * @param text its body
 * @param unauthorized what 401 means here: "unauthorized" from Core, "ticket" from a stream
 * @returns a Failure
 */
export function refusal({ status, statusText, headers }, text, unauthorized) {
  const problem = readProblem(text);
  const told = problem ? `${problem.title}: ${problem.detail}` : statusText;
  const detail = shortened(`${status} ${told}`);
  if (status === 429 || status === 503) return failure("busy", detail, retryAfter(headers));
  if (status === 401 || (status === 421 && unauthorized === "ticket")) {
    // Another server has the channel: the next sync returns its address and a ticket for it.
    return failure(unauthorized, detail);
  }
  // Another problem does not come from our server.
  if (status >= 400 && status < 500 && problem && PROBLEMS.includes(slugOf(problem))) {
    return failure("refused", detail);
  }
  // A 404 without one of our problems is a proxy's, as during a deployment: try again.
  return failure("unreachable", detail);
}

/**
 * An outside text, cut to a length that suits a message.
 *
 * @param text of any length
 */
export const shortened = (text) =>
  text.length <= MAX_DETAIL_CHARS ? text : `${text.slice(0, MAX_DETAIL_CHARS)}…`;

/**
 * Retry-After in seconds, at most an hour; a date is compared with the answer's own Date.
 *
 * @param headers those of the answer
 * @returns seconds; null: there is none, or it is malformed
 */
export function retryAfter(headers) {
  const text = (headers.get("retry-after") ?? "").trim();
  let seconds = NaN;
  if (/^[0-9]+$/.test(text)) seconds = Number(text.slice(0, 10));
  else if (DATE.test(text)) seconds = (Date.parse(text) - Date.parse(headers.get("date") ?? "")) / 1000;
  return Number.isNaN(seconds) ? null : Math.min(Math.max(seconds, 0), MAX_RETRY_AFTER_S);
}
