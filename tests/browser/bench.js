// A scripted Core and event server, for the tests of the module's adapters.

import { Client } from "../static/yabam/client.js";
import { checkEvent, checkSync } from "../static/yabam/contract/contract.js";
import { SeenSender } from "../static/yabam/client/receipts.js";
import { Shared } from "../static/yabam/tabs.js";
import { Transport } from "../static/yabam/transport.js";

const never = new AbortController().signal;

/** Calls Fetch Sync once. Returns the input of the machine that it leads to. */
export async function syncOnce(token, command, about = "till-1; mode=live; pending=0") {
  const asked = { generation: 3, after: { "store:12": null }, epoch: null, wait: 0, ...command };
  return new Transport(location.origin, token, () => about).sync(asked, never);
}

/** Opens a stream. Gives its inputs until its end, or until the bye, after which a client closes it. */
export async function streamOnce(command = {}) {
  const url = `${location.origin}/v1/stream`;
  const asked = { generation: 4, url, ticket: "t", cursor: { "store:12": 5 }, ...command };
  const inputs = [];
  const closing = new AbortController();
  const transport = new Transport(location.origin, "k");
  await transport.stream(asked, closing.signal, (input) => {
    if (closing.signal.aborted) return;
    inputs.push(input);
    if (input.type === "StreamBye") closing.abort();
  });
  return inputs;
}

/** Sends a command. Returns Core's answer, or the error thrown. */
export async function commandOnce(path, body, options) {
  try {
    return await new Transport(location.origin, "k").command(path, body, options);
  } catch (error) {
    return { thrown: error.name };
  }
}

/** A transport that follows its script, and records the calls. */
export class ScriptedTransport {
  asked = [];
  opened = [];
  #answers;
  #put = null;

  /** @param answers the answers to syncs, in order; null: no answer; the last one is repeated */
  constructor(answers) {
    this.#answers = [...answers];
  }

  async sync({ generation, after, epoch }) {
    this.asked.push({ after, epoch });
    const answer = this.#answers.length > 1 ? this.#answers.shift() : this.#answers[0];
    if (answer === null) return new Promise(() => {});
    if (answer.kind) return { type: "SyncFailed", generation, failure: answer };
    return { type: "SyncDone", generation, response: checkSync(answer) };
  }

  async receipts() {
    return true;
  }

  async stream({ generation, cursor }, signal, put) {
    this.opened.push(cursor);
    this.#put = (input) => put({ generation, ...input });
    await null; // as over a network, no answer comes at once
    this.#put({ type: "StreamHello", epoch: "E1", watermark: 1 });
    return new Promise(() => {});
  }

  /** Sends an event on the stream. */
  push(event) {
    this.#put({ type: "StreamEvent", event: checkEvent(event) });
  }
}

/** A client with a scripted transport. `seen` has all its callbacks, `anew` the channels that started anew. */
export function startClient({ answers, channels = ["store:12"], saved = null, changed = () => {}, settings = {} }) {
  const transport = new ScriptedTransport(answers);
  const seen = [];
  const bench = { transport, seen, anew: [], client: null, now: 0 };
  const booked = (_changes, _epoch, anew) => void (anew && bench.anew.push([anew.channel, anew.sameLog]));
  bench.client = new Client({
    channels,
    transport,
    documents: { booked, online: () => {}, release: () => {} },
    saved,
    settings,
    changed: (news) => {
      seen.push(news);
      changed(news);
    },
    clock: () => bench.now,
    uniform: (_low, high) => high,
  });
  bench.client.start();
  return bench;
}

/** This tab of several. `seen` has what it would show. */
export function startTab(name, answers) {
  const tab = { seen: [], transports: [], shared: null };
  const lead = (saved) => {
    const transport = new ScriptedTransport(answers);
    tab.transports.push(transport);
    return new Client({
      channels: ["store:12"],
      transport,
      saved,
      // The scripted stream has no heartbeats. Only the test causes another sync.
      settings: { watermarkTimeout: 3600 },
      // A page may add its own fields to the status.
      changed: ({ changes, status }) => tab.shared.tell({ changes, status: { ...status, lead: 7 } }),
      clock: () => performance.now() / 1000,
      uniform: (_low, high) => high,
    });
  };
  const seen = ({ orders, status, leading }) => {
    const { mode, lead } = status;
    tab.seen.push({ orders: orders.map(({ id }) => id), mode, leading, lead });
  };
  tab.shared = new Shared({ name, lead, load: () => null, seen });
  tab.shared.start();
  return tab;
}

/** Reports these orders as shown, repeatedly, until Core has accepted the report. */
export async function shown(orders) {
  const transport = new Transport(location.origin, "k", () => "till-1; mode=live; pending=0");
  await new Promise((resolve) => {
    const sender = new SeenSender(async (batch) => {
      const isTaken = await transport.seen(batch);
      if (isTaken) resolve();
      return isTaken;
    });
    for (const order of [...orders, ...orders]) sender.seen(order);
  });
}
