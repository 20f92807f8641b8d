import { memo } from "react";
import { createRoot } from "react-dom/client";
import { YabamProvider, useDocument, useOrders, usePart } from "yabam-events/react";
import { channel, client, drawn } from "./client.js";

function Part({ name, path }) {
  return <b id={name}>{drawn(name, usePart(channel, "cart", path))}</b>;
}

function Bell() {
  return <b id="bell">{drawn("bell", useDocument(channel, "ask").value)}</b>;
}

function Both() {
  const [a, bell] = [usePart(channel, "cart", "/lines/a/quantity"), useDocument(channel, "ask").value];
  return <b id="both">{drawn("both", [a, bell])}</b>;
}

const Row = memo(function Row({ shown }) {
  drawn(shown.order.items[0].name);
  return <li>{shown.order.note}</li>;
});

function Orders() {
  return useOrders({ store: "12" }).map((shown) => <Row key={shown.order.id} shown={shown} />);
}

createRoot(document.querySelector("#app")).render(
  <YabamProvider client={client}>
    <Part name="a" path="/lines/a/quantity" />
    <Part name="b" path="/lines/b/quantity" />
    <Bell />
    <Both />
    <Orders />
  </YabamProvider>,
);
client.start();
