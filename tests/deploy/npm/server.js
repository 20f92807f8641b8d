// Renders with each binding on a server, without a client.

import { createElement } from "react";
import { renderToString } from "react-dom/server";
import { createSSRApp, h } from "vue";
import { renderToString as drawnByVue } from "vue/server-renderer";
import * as react from "yabam-events/react";
import * as vue from "yabam-events/vue";
import * as svelte from "yabam-events/svelte";

const told = (orders, cart, { mode }) => `${orders.length} ${cart.loading} ${mode}`;
const Board = () => createElement("p", null, told(
    react.useOrders({ store: "1" }),
    react.useDocument("party:1/5", "cart", { suspend: true }),
    react.useConnection(),
));
const board = { setup() {
    const shown = [vue.useOrders(), vue.useDocument("party:1/5", "cart"), vue.useConnection()];
    return () => h("p", told(...shown.map((one) => one.value)));
} };
const shown = [];
for (const store of [
    svelte.orders(null), svelte.document(null, "party:1/5", "cart"), svelte.connection(null),
]) store.subscribe((one) => shown.push(one))();
console.log(JSON.stringify([
    renderToString(createElement(react.YabamProvider, { client: null }, createElement(Board))),
    await drawnByVue(createSSRApp(board).use(vue.yabam(null))),
    `<p>${told(...shown)}</p>`,
]));
