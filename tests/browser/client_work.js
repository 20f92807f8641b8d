// Counts at how many entries the browser's client looks for each input. Run by Node, with how many channels it follows,
// and how many inputs of each kind it gets.

import { Client } from "SDK/client.js";
import { OrderBook } from "SDK/client/order_book.js";
import { Shared } from "SDK/tabs.js";

const [CHANNELS, INPUTS] = process.argv.slice(-2).map(Number);
const epoch = "e1";
const names = Array.from({ length: CHANNELS }, (_, n) => `store:${n}`);
const empty = new OrderBook();
const answers = names.map((channel) => ({
  channel, head: 1, reset: "first_sync", snapshot: { head: 1, orders: [] }, events: [],
  digest: empty.digest(channel), content_digest: empty.contentDigest(channel),
}));
let put = null, newest = null, seen = 0, looked = 0;

// Each entry of a collection that is looked at.
const count = (target, name, size) => {
  const real = target[name];
  target[name] = function (...given) {
    looked += size(this, given);
    return real.apply(this, given);
  };
};
const countLooks = () => {
  count(Object, "fromEntries", (_, [entries]) => entries.length ?? entries.size ?? 0);
  for (const name of ["entries", "keys", "values"]) {
    count(Object, name, (_, [of]) => Reflect.ownKeys(of).length);
    count(Map.prototype, name, (map) => map.size);
  }
  count(Map.prototype, Symbol.iterator, (map) => map.size);
  for (const name of ["map", "filter", "flat", "sort"]) count(Array.prototype, name, (list) => list.length);
};

const server_time = new Date().toISOString();
const stream = { url: "http://127.0.0.1/v1/events", ticket: "t" };
const response = { epoch, server_time, has_more: false, poll_after_ms: 3000, channels: answers, stream };
const transport = {
  sync: async ({ generation }) => ({ type: "SyncDone", generation, response }),
  stream: ({ generation }, _signal, feed) => {
    put = (input) => feed({ generation, ...input });
    return new Promise(() => {});
  },
  receipts: async () => true,
};
const shared = new Shared({
  name: "work",
  lead: (saved) => new Client({
    ...{ channels: names, transport, saved, clock: () => performance.now() / 1000, uniform: (low) => low },
    changed: (news) => shared.tell(news),
  }),
  load: () => null,
  seen: (news) => ((newest = news), (seen += 1)),
});
Object.defineProperty(globalThis, "navigator", { value: {}, configurable: true });
shared.start();
while (put === null) await new Promise((resolve) => setTimeout(resolve, 1));
put({ type: "StreamHello", epoch, watermark: Date.now() / 1000 });
const mode = newest.status.mode;
countLooks();

const looksOf = (input) => {
  const [before, told] = [looked, seen];
  for (let n = 0; n < INPUTS; n += 1) put(input(n));
  if (seen !== told + INPUTS) throw new Error("each input is told");
  return (looked - before) / INPUTS;
};
const heartbeats = looksOf((n) => ({ type: "StreamHeartbeat", watermark: Date.now() / 1000 + n }));
const old = newest;
const events = looksOf((n) => {
  const order = { id: "o1", version: n + 1, status: "placed", open: true, placed_at: server_time, total: n };
  const event = { id: `store:7@${n + 2}`, seq: n + 2, type: "order.placed", data: order };
  return { type: "StreamEvent", event: { ...event, order_id: order.id, order_version: n + 1, occurred_at: server_time } };
});
const { positions } = newest.status;
console.log(JSON.stringify({
  mode, heartbeats, events,
  oldSeq: old.status.positions["store:7"], newSeq: positions["store:7"], known: Object.keys(positions).length,
  stored: newest.state.positions["store:7"], orders: newest.orders.map(({ version }) => version),
  storedOrders: newest.state.orders["store:7"].map(({ version }) => version), channels: Object.keys(newest.state.orders).length,
}));
process.exit(0);
