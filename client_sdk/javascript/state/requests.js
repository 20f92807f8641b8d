// Requests with edits: which edits are sent together, and which answers Core may delete. Pure.
//
// As client_sdk/state/requests.py. A request, one `POST /v1/edits`, is {client, ids, body, atomic}.

import { MAX_EDITS, MAX_EDITS_BODY_BYTES } from "../contract/contract_lists.js";
import { bytesOf } from "../contract/state/edit.js";
import { ownBase } from "./entries.js";

/** The most bytes of edits in one request; the request around them needs some more. */
export const MAX_GROUP_BYTES = MAX_EDITS_BODY_BYTES - 256;

/**
 * The edits of the next request: the first, and as many behind it as one request takes. An atomic group is sent
 * as a whole, in a request of its own.
 *
 * @param waiting the unanswered edits, in order; at least one
 * @param oneByOne whether to take no more than one
 */
export function chosenOf(waiting, oneByOne) {
  const [{ client, group }] = waiting;
  if (group) return waiting.filter((entry) => entry.group === group);
  const chosen = [];
  let room = MAX_GROUP_BYTES;
  for (const entry of waiting) {
    room -= bytesOf(entry.body) + 1;
    if (room < 0 || entry.group || entry.client !== client) break;
    chosen.push(entry);
    if (oneByOne || chosen.length === MAX_EDITS) break;
  }
  return chosen;
}

/**
 * The request with these edits, in the same text as stored: {client, ids, body, atomic}.
 *
 * @param chosen the edits, as chosenOf returned them
 * @param answered the number up to which Core may delete the answers
 * @param epoch the log that the edits refer to; null: not known
 */
export function requestOf(chosen, answered, epoch) {
  const [{ client, group }] = chosen;
  const ids = chosen.map((entry) => entry.id);
  const edits = chosen.map((entry) => entry.body).join();
  const atomic = group > 0;
  const head = `{"client":${JSON.stringify(client)},"edits":[${edits}],"atomic":${atomic}`;
  const body = `${head},"answered":${answered},"epoch":${JSON.stringify(epoch)}}`;
  return { client, ids, body, atomic };
}

/**
 * The number up to which Core may delete the answers. The client must have them, and no later edit may be based
 * on an edit up to there: Core needs the outcome of that edit.
 *
 * @param own the entries of the client id that sends
 * @param nextN the number of its next edit; null: it will send no new edits
 */
export function answeredUpTo(own, nextN) {
  const bases = own.filter((entry) => entry.outcome === null).map(({ edit }) => ownBase(edit));
  const needed = [...own.map((entry) => entry.n), ...bases.filter((n) => n !== undefined)];
  return Math.min(...needed, nextN ?? Infinity) - 1;
}
