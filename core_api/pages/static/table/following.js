// Follows a table: its orders, what its guests share, and what its store says to all.

import { fetchCore } from "../shared/core/fetch_core.js";
import { PageTransport, awakeClock, onWaking } from "../shared/follow.js";
import { ofBrowser } from "../shared/storage.js";
import { readProblem, slugOf } from "../yabam/transport/http_failures.js";
import { subjectOf } from "../yabam/state/subject.js";
import { YabamClient } from "../yabam/yabam_client.js";
import { CALLS } from "./cart/rules.js";

const SAVE_AFTER_MS = 400;

/**
 * Follows, from `start` on: until then nothing is told.
 *
 * @param credentials the Credentials of the guest
 * @param seen told ({orders, changes, status, leading}) whenever there is something new of orders
 * @returns {transport, channels, party, cart, bell, bill, soldOut, waitingTime, takingOrders, state, start, stop}
 */
export function followTable({ credentials, seen }) {
  const { token, subject, table } = credentials.session;
  const [store] = table.split("/");
  const [orders, party, shop] = [`table:${table}`, `party:${table}`, `public:${store}`];
  const channels = [orders, party, shop];
  const name = `yabam.table.${subject}.${channels.join()}`;
  const transport = new PageTransport(location.origin, credentials);
  let newest = null;
  let saving = null;

  const save = () => {
    clearTimeout(saving);
    saving = null;
    // A tab that does not lead must not keep its old state over the newer one.
    if (newest !== null) ofBrowser.writeJson(name, newest);
  };
  const client = new YabamClient({
    ...{ core: location.origin, channels, name, transport, calls: CALLS },
    subject: subjectOf(token),
    token: () => credentials.give(),
    clock: awakeClock(),
    load: () => ofBrowser.readJson(name),
    adding: (status) => {
      const signedOut = credentials.refused ? credentials.session.expiresAt : null;
      return { ...status, skewMs: transport.skewMs, signedOut };
    },
    seen: (news) => {
      const { session } = credentials;
      if (news.status?.signedOut === session.expiresAt) credentials.refuse(session.token);
      newest = news.leading ? news.state : null;
      saving ??= setTimeout(save, SAVE_AFTER_MS);
      seen(news);
    },
  });
  const wake = () => client.wake();
  /** Ends it; nothing is kept any more. A promise of the end of it. */
  const stop = () => {
    newest = null;
    clearTimeout(saving);
    saving = 0;
    return client.close();
  };
  const start = () => {
    onWaking(wake, save);
    credentials.onChange(() => {
      if (credentials.refused) return;
      transport.renew();
      wake();
    });
    client.start();
  };
  return {
    ...{ transport, channels, start, stop },
    state: client.state,
    party: client.state(party).get("party"),
    cart: client.state(party).get("cart"),
    bell: client.state(party).get("bell"),
    bill: client.state(party).get("bill"),
    soldOut: client.state(shop).get("sold-out"),
    waitingTime: client.state(shop).get("waiting-time"),
    takingOrders: client.state(shop).get("taking-orders"),
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
