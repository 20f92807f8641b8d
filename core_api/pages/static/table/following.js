// Follows a table: its orders, what its guests share, and what its store says to all.

import { fetchCore } from "../shared/core/fetch_core.js";
import { follow } from "../shared/follow.js";
import { readProblem, slugOf } from "../yabam/transport/http_failures.js";
import { CALLS } from "./cart/rules.js";

/**
 * Follows, from `start` on: until then nothing is told.
 *
 * @param credentials the Credentials of the guest
 * @param seen told ({orders, changes, status, leading}) whenever there is something new of orders
 * Returns {transport, channels, party, cart, bell, bill, soldOut, waitingTime, takingOrders, state, start, stop}
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
    /** Ends it; nothing is kept any more. A promise of the end of it. */
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

/** Whether Core refuses the token because its party has left; false also where Core does not say. */
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
