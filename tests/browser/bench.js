// What the tests of the module's shell put around it: a Core and an event server that are scripts.

import { Client } from "/static/yabam/client.js";
import { checkEvent, checkSync } from "/static/yabam/contract/contract.js";
import { SeenSender } from "/static/yabam/client/receipts.js";
import { Shared } from "/static/yabam/tabs.js";
import { Transport } from "/static/yabam/transport.js";

const never = new AbortController().signal;

/** Calls Fetch Sync once: the input that it leads to. */
export async function syncOnce(token, command, about = "till-1; mode=live; pending=0") {
  const asked = { generation: 3, after: { "store:12": null }, epoch: null, wait: 0, ...command };
  return new Transport(location.origin, token, () => about).sync(asked, never);
}

/** Opens a stream and gives its inputs to the end, or to the bye, where a client closes it. */
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

/** Sends a command: Core's answer, or what was thrown. */
export async function commandOnce(path, body, options) {
  try {
    return await new Transport(location.origin, "k").command(path, body, options);
  } catch (error) {
    return { thrown: error.name };
  }
}

/** A transport that does what its script says, and notes what it was asked. */
export class ScriptedTransport {
  asked = [];
  opened = [];
  #answers;
  #put = null;

  /** @param answers what each sync is answered; a null leaves it waiting, the last one stays */
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
    await null; // as over a network, nothing is heard at once
    this.#put({ type: "StreamHello", epoch: "E1", watermark: 1 });
    return new Promise(() => {});
  }

  /** An event comes by the stream. */
  push(event) {
    this.#put({ type: "StreamEvent", event: checkEvent(event) });
  }
}

/** A client over a scripted transport; `seen` holds all that it told, `anew` which channels began anew. */
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

/** This tab of several; `seen` holds what it would show. */
export function startTab(name, answers) {
  const tab = { seen: [], transports: [], shared: null };
  const lead = (saved) => {
    const transport = new ScriptedTransport(answers);
    tab.transports.push(transport);
    return new Client({
      channels: ["store:12"],
      transport,
      saved,
      // The scripted stream has no heartbeats; nobody asks again but by a test's doing.
      settings: { watermarkTimeout: 3600 },
      // A page may add to the status what it knows.
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

/** Shows these orders, again and again, and returns once Core has taken it. */
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
