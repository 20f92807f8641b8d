// A project that is checked strictly: what must be taken, and what must not.

import { YabamClient, type YabamOptions } from "yabam-events";
import type { Order, ShownOrder } from "yabam-events/types";
import * as react from "yabam-events/react";
import * as vue from "yabam-events/vue";
import * as svelte from "yabam-events/svelte";
import { connect } from "yabam-events/elements";

// `any` would pass for everything; this is only true of the very type.
type Is<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const sure = <T extends true>(): T | void => {};

const options: YabamOptions = { core: "https://a.example", token: async () => "t", channels: ["store:1"], subject: "s" };
const client = new YabamClient(options);
// @ts-expect-error a channel is a text
new YabamClient({ core: "", token: "", channels: [1] });

const cart = client.state("party:1/5").get("cart");
export async function edits(shown: ShownOrder) {
  const edit = await cart.merge({ lines: { a: { quantity: 2 } } });
  const { outcome } = await edit.settled();
  sure<Is<typeof outcome, string>>();
  const step = await client.commands.transition(shown, "accepted");
  const { order } = await step.settled();
  sure<Is<typeof order, Order | null | undefined>>();
  // @ts-expect-error an order needs at least one item
  await client.commands.place({ store_id: "1", currency: "KRW" });
  // @ts-expect-error a document holds what JSON says
  await cart.set({ at: new Date() });
  // @ts-expect-error numbers by JSON Pointers
  await cart.add({ "/n": "1" });
  await client.state.batch(() => void cart.add({ "/n": 1 }), { atomic: true });
  const end: () => void = client.page.subscribe("quiet", (_detail, { own }) => void (own satisfies boolean));
  end();
  // @ts-expect-error an event's detail must be JSON
  client.page.publish("quiet", () => 1);
}
sure<Is<typeof client.orders, Order[]>>();
sure<Is<typeof cart.version, number>>();
sure<Is<typeof client.state.waiting, number>>();

export function Board() {
  const orders = react.useOrders({ store: "1", statuses: ["placed"] });
  sure<Is<typeof orders, ShownOrder[]>>();
  const { mode, certainAt } = react.useConnection();
  sure<Is<typeof certainAt, number | null>>();
  const { pending, document } = react.useDocument("party:1/5", "cart", { suspend: true });
  sure<Is<typeof pending, number>>();
  // @ts-expect-error there is none on a server
  document.merge({});
  // @ts-expect-error a filter names a store
  react.useOrders({ shop: "1" });
  return `${mode} ${react.useOrder("a")?.order.status}`;
}
react.YabamProvider({ client, children: "x" });

export function setup() {
  const orders = vue.useOrders(() => ({ store: "1" }));
  sure<Is<typeof orders.value, ShownOrder[]>>();
  // @ts-expect-error what is shown is not changed here
  orders.value = [];
}
vue.yabam(null);

const unsubscribe: () => void = svelte
  .orders(client, { table: "5" })
  .subscribe((orders) => void (orders satisfies ShownOrder[]));
unsubscribe();
svelte.pageEvent(client, "quiet", false).subscribe((quiet) => void (quiet satisfies boolean));
connect(client);
