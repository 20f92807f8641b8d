// What a server draws is taken over by a client that knows more, without a complaint.

import { hydrateRoot } from "react-dom/client";
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
client.start();
