// Follows a table: its orders, the documents that its guests share, and those that its store publishes.

import { fetchCore } from "../shared/core/fetch_core.js";
import { follow } from "../shared/follow.js";
import { readProblem, slugOf } from "../yabam/transport/http_failures.js";
import { CALLS } from "./cart/predictions_and_sums.js";

/**
 * Follows a table. Nothing is received before `start` is called.
 *
 * @param credentials the guest's Credentials
 * @param seen called with {orders, changes, status, leading} whenever there is news of orders or of the status
 * @returns an object with the documents `party`, `cart`, `bell`, `bill`, `soldOut`, `waitingTime` and `takingOrders`;
 *   with the names of the `channels`; with `transport`, `state` and `start`, as `follow` returns them; and with
 *   `stop`
 */
export function followTable({ credentials, seen }) {
  const { subject, table } = credentials.session;
  const [store] = table.split("/");
  const [orders, party, shop] = [`table:${table}`, `party:${table}`, `public:${store}`];
  const channels = [orders, party, shop];
  const name = `yabam.table.${subject}.${channels.join()}`;
  const { transport, state, start, close } = follow({ name, credentials, channels, calls: CALLS, seen });
  return {
    ...{ transport, channels, state, start },
    /** Stops following, and stores nothing. Returns a promise of the client's end. */
    stop: () => close({ forgets: true }),
    party: state(party).get("party"),
    cart: state(party).get("cart"),
    bell: state(party).get("bell"),
    bill: state(party).get("bill"),
    soldOut: state(shop).get("sold-out"),
    waitingTime: state(shop).get("waiting-time"),
    takingOrders: state(shop).get("taking-orders"),
  };
}

/**
 * Asks Core whether it refuses the token because its party has left.
 *
 * @param session of the guest, as readToken returns it
 * @returns a promise of true or false; of false, too, if Core does not answer
 */
export async function partyHasLeft({ token, table }) {
  const query = new URLSearchParams({ channel: `party:${table}` });
  try {
    const answer = await fetchCore(`/v1/sync?${query}`, token);
    const problem = answer.ok ? null : readProblem(await answer.text());
    return problem !== null && slugOf(problem) === "party-left";
  } catch {
    return false;
  }
}
