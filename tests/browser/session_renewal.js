// Renews a client's session by a clock that only this file moves. Run by Node.

import { SessionRenewal } from "SDK/shared_state/session_renewal.js";
import { SETTINGS } from "SDK/contract/contract_lists.js";

// All times are seconds; nothing waits for a real one.
let now = 0, timers = [], last = 0;
const start = (call, ms, every) => {
  timers.push({ id: ++last, at: now + ms / 1000, call, every });
  return last;
};
globalThis.setTimeout = (call, ms = 0) => start(call, ms, null);
globalThis.setInterval = (call, ms) => start(call, ms, ms / 1000);
globalThis.clearTimeout = globalThis.clearInterval = (id) => (timers = timers.filter((one) => one.id !== id));
const settle = async () => { for (let n = 0; n < 50; n += 1) await null; };
const until = async (end) => {
  for (;;) {
    await settle();
    const [next] = timers.toSorted?.((a, b) => a.at - b.at) ?? [...timers].sort((a, b) => a.at - b.at);
    if (next === undefined || next.at > end) break;
    now = next.at;
    if (next.every === null) timers = timers.filter((one) => one !== next);
    else next.at += next.every;
    next.call();
  }
  now = end;
};

const HOUR = 3600;
const settled = { type: "Settled", n: 0, epoch: "e" };
const again = { type: "Again", detail: "503", retryAfter: null, unauthorized: false };
const run = async (answer, end) => {
  now = 0; timers = [];
  const asked = [], failures = [];
  const renewal = new SessionRenewal({
    renew: async () => { asked.push(now); return answer(asked.length, now); },
    failed: (detail) => failures.push(detail),
    settings: SETTINGS, uniform: (_low, high) => high, clock: () => now,
  });
  renewal.online();
  await until(end);
  const told = { asked: [...asked], failures };
  renewal.close();
  await until(end + 7 * HOUR);
  return { ...told, afterClose: asked.length - told.asked.length, left: timers.length };
};
const well = await run(() => settled, 10 * HOUR);
const fails = await run((nth) => (nth <= 3 ? again : settled), 4 * HOUR);
const raises = await run((nth) => { if (nth === 1) throw new Error("no token"); return settled; }, HOUR);
const asks = await run((nth) => (nth === 1 ? { ...again, retryAfter: 300 } : settled), HOUR);
const away = await run((_nth, at) => (at > 3 * HOUR && at < 20 * HOUR ? again : settled), 21 * HOUR);
const none = await run(() => null, 4 * HOUR);
const since = away.asked.filter((at) => at >= 6 * HOUR);
const gaps = since.slice(1).map((at, n) => at - since[n]);
console.log(JSON.stringify({
  well, fails, raises, asks, none,
  away: { longest: Math.max(...gaps), back: away.asked.filter((at) => at >= 20 * HOUR).length },
}));
