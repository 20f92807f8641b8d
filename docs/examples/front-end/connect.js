// What the four examples have in common: the client of one store.
//
// Open a page with #core=http://127.0.0.1:8000&store=1&token=… in its address.

import { YabamClient } from "yabam-events";

const asked = new URLSearchParams(location.hash.slice(1));

/** The store that the page is about. */
export const store = asked.get("store") ?? "1";
/** Its channel of documents that everybody may see, as what is sold out. */
export const shop = `public:${store}`;

/** One client for the whole page, made once and outside of all components. */
export const client = new YabamClient({
  core: asked.get("core") ?? location.origin,
  token: asked.get("token") ?? "",
  channels: [`store:${store}`, shop],
});
addEventListener("online", () => client.wake());

/** An id that no other device makes, also over plain HTTP, where a browser has no randomUUID. */
export function newId() {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(36).padStart(2, "0")).join("");
}
