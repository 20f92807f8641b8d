import { createApp, h } from "vue";
import { useDocument, useOrders, usePart, yabam } from "yabam-events/vue";
import { channel, client, drawn } from "./client.js";

const Part = {
  props: ["name", "path"],
  setup({ name, path }) {
    const shown = usePart(channel, "cart", path);
    return () => h("b", { id: name }, drawn(name, shown.value));
  },
};

const Bell = {
  setup() {
    const bell = useDocument(channel, "ask");
    return () => h("b", { id: "bell" }, drawn("bell", bell.value.value));
  },
};

const Both = {
  setup() {
    const [a, bell] = [usePart(channel, "cart", "/lines/a/quantity"), useDocument(channel, "ask")];
    return () => h("b", { id: "both" }, drawn("both", [a.value, bell.value.value]));
  },
};

const Row = {
  props: ["shown"],
  setup: (props) => () => {
    drawn(props.shown.order.items[0].name);
    return h("li", props.shown.order.note);
  },
};

const Orders = {
  setup() {
    const orders = useOrders({ store: "12" });
    return () => orders.value.map((shown) => h(Row, { key: shown.order.id, shown }));
  },
};

const parts = () => [
  h(Part, { name: "a", path: "/lines/a/quantity" }),
  h(Part, { name: "b", path: "/lines/b/quantity" }),
  ...[Bell, Both, Orders].map((part) => h(part)),
];
createApp({ render: parts }).use(yabam(client)).mount("#app");
client.start();
