// Snapshots that come in pages, put together before anything is applied. Pure.
//
// As client_sdk/paging.py: half a snapshot is no state to show. Its pages are all true at the head
// of the first; what has changed since comes by the events after that head.

import { ContractError } from "./contract.js";

/** More pages than any channel has; a server that goes on beyond them is not believed. */
export const MAX_PAGES = 10_000;

/** What to ask for next; null: every snapshot of the answer is whole. */
export function nextPage(answer) {
  return answer.channels.find((c) => (c.snapshot?.next ?? null) !== null)?.snapshot.next ?? null;
}

/**
 * The answer with the orders of a further page, which was asked for by `page`.
 *
 * A further answer that starts anew (retention has overtaken the first page) takes its place.
 */
export function withPage(answer, page, further) {
  const place = answer.channels.findIndex((c) => c.snapshot?.next === page);
  const begun = answer.channels[place];
  const [more, ...rest] = further.channels;
  if (further.epoch !== answer.epoch || !begun || rest.length > 0) {
    throw new ContractError("the page of a snapshot is of another answer");
  }
  if (!more?.snapshot || more.channel !== begun.channel) {
    throw new ContractError("the page is of another channel, or lacks its snapshot");
  }
  const channels = [...answer.channels];
  if (more.reset) {
    channels[place] = more;
  } else if (more.snapshot.head !== begun.snapshot.head || more.snapshot.next === page) {
    throw new ContractError("the page does not go on where the last one ended");
  } else {
    const orders = [...begun.snapshot.orders, ...more.snapshot.orders];
    channels[place] = { ...more, reset: begun.reset, snapshot: { ...more.snapshot, orders } };
  }
  // Even if nothing came meanwhile, the stream's ticket is still to be had.
  return { ...answer, channels, has_more: true };
}
