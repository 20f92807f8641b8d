import { Suspense, memo, useState } from "react";
import { useConnection, useDocument, useOrders, usePageEvent, useYabam } from "yabam-events/react";
import { newId, shop, store } from "../connect.js";

export function Board() {
  return (
    <main>
      <Lamp />
      <Orders />
      <Suspense fallback={<p>Looking up what is sold out</p>}>
        <SoldOut />
      </Suspense>
      <Quiet />
    </main>
  );
}

function Lamp() {
  const { mode } = useConnection();
  return <p>This board is <output id="mode">{mode}</output>.</p>;
}

function Orders() {
  const orders = useOrders({ store });
  return <ul id="orders">{orders.map((shown) => <Row key={shown.order.id} shown={shown} />)}</ul>;
}

// In `memo`: an order that has not changed is the same object, and its row is not drawn again.
const Row = memo(function Row({ shown }) {
  const { commands } = useYabam();
  const { order, pending } = shown;
  return (
    <li>
      <span>{`${order.table_id ?? "–"}: ${order.status}${pending > 0 ? " (sending)" : ""}`}</span>
      {order.status === "placed" && <button onClick={() => commands.transition(shown, "accepted")}>Accept</button>}
    </li>
  );
});

function SoldOut() {
  const { value, pending, document } = useDocument(shop, "sold-out", { suspend: true });
  const add = (form) => document.merge({ items: { [newId()]: { name: form.get("dish") } } });
  return (
    <section>
      <form action={add}>
        <input name="dish" required />
        <button>Sold out</button>
      </form>
      <ul id="sold-out">
        {Object.entries(value?.items ?? {}).map(([id, { name }]) => (
          <li key={id}>
            <span>{name}</span>
            <button onClick={() => document.merge({ items: { [id]: null } })}>Back</button>
          </li>
        ))}
      </ul>
      <p>Not sent yet: <output id="pending">{pending}</output></p>
    </section>
  );
}

// What happens once, such as a choice that holds for all open tabs, is an event of the page.
function Quiet() {
  const { page } = useYabam();
  const [quiet, setQuiet] = useState(false);
  usePageEvent("quiet", setQuiet);
  return (
    <label>
      <input id="quiet" type="checkbox" checked={quiet} onChange={() => page.publish("quiet", !quiet)} /> Quiet
    </label>
  );
}
