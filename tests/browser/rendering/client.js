// Shared by the four pages: a client, and counts of how often each part was drawn.

import { YabamClient } from "yabam-events";

export const channel = "party:12/5";
export const client = new YabamClient({
  core: location.origin,
  token: "t1",
  channels: ["store:12", channel],
  settings: { backoffFirst: 0.02, backoffMost: 0.1 },
});

/** Counts that a part is drawn, and returns the text that it shows. */
export function drawn(name, shown) {
  window.drawn[name] = (window.drawn[name] ?? 0) + 1;
  return JSON.stringify(shown ?? null);
}

const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));

Object.assign(window, {
  drawn: {},
  client,
  cart: client.state(channel).get("cart"),
  bell: client.state(channel).get("ask"),
  until: async (good) => {
    while (!good()) await new Promise((resolve) => setTimeout(resolve, 5));
  },
  /** The parts that are drawn during the work and in the two frames after it. */
  drawnBy: async (work) => {
    await frame();
    window.drawn = {};
    await work();
    await frame();
    await frame();
    return window.drawn;
  },
});
