// What a server draws is taken over by a client that knows more, without a complaint.

import { Suspense } from "react";
import { createRoot, hydrateRoot } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { createSSRApp, h } from "vue";
import { renderToString as renderedByVue } from "vue/server-renderer";
import * as react from "yabam-events/react";
import * as vue from "yabam-events/vue";
import { channel, client } from "./client.js";

function Cart() {
  const { value, loading } = react.useDocument(channel, "cart", { suspend: true });
  return <b>{loading ? "loading" : JSON.stringify(value)}</b>;
}
const cartOf = (given) => <react.YabamProvider client={given}><Cart /></react.YabamProvider>;

const cart = {
  setup() {
    const shown = vue.useDocument(channel, "cart");
    return () => h("b", shown.value.loading ? "loading" : JSON.stringify(shown.value.value));
  },
};
const appOf = (given) => createSSRApp(cart).use(vue.yabam(given));

const complaints = [];
const warn = console.warn;
console.warn = (...told) => (complaints.push(told.join(" ")), warn(...told));
console.error = console.warn;

window.hydrate = async () => {
  const served = [renderToString(cartOf(null)), await renderedByVue(appOf(null))];
  const places = served.map((html) => Object.assign(document.createElement("div"), { innerHTML: html }));
  document.querySelector("#app").append(...places);
  hydrateRoot(places[0], cartOf(client), { onRecoverableError: (error) => complaints.push(String(error)) });
  appOf(client).mount(places[1]);
  await until(() => places.every((place) => !place.textContent.includes("loading")));
  return { served, complaints, shown: places.map((place) => place.textContent) };
};

// A client whose document is known a moment after a part of the page has begun to wait for it; and then there is
// a newer one at once, for which the part waits once more.
function knownAtTheSecondTime() {
  const known = { value: { n: 1 }, version: 1, pending: 0, meta: { loading: true } };
  let waited = 0;
  const subscribe = (told) => {
    waited += 1;
    if (waited > 2) return () => {};
    const isLast = waited === 2;
    setTimeout(() => {
      known.meta = { loading: false };
      told();
      known.meta = { loading: !isLast };
    });
    return () => {};
  };
  return { state: () => ({ get: () => Object.assign(known, { subscribe }) }) };
}

window.suspend = async () => {
  const place = document.createElement("div");
  const found = [];
  const root = createRoot(place, { onRecoverableError: (error) => found.push(String(error.cause ?? error)) });
  root.render(<Suspense fallback="waits">{cartOf(knownAtTheSecondTime())}</Suspense>);
  await until(() => place.textContent === '{"n":1}');
  return found;
};
client.start();
