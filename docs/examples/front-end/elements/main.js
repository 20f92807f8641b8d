import { documentOf } from "yabam-events";
import { connect } from "yabam-events/elements";
import { client, newId, shop, store } from "../connect.js";

const find = (selector) => document.querySelector(selector);

find("yabam-orders").setAttribute("store", store);
find("yabam-orders").addEventListener("click", ({ target }) => {
  const row = target.closest("button")?.closest("[data-order]");
  if (row) client.commands.transition(row.dataset.order, "accepted");
});

// A list with buttons of its own: `documentOf` is what the elements and all bindings are made of.
const soldOut = documentOf(client, shop, "sold-out");
soldOut.subscribe(draw);
draw();

function draw() {
  const { value, pending, document: edited } = soldOut.get();
  const rows = Object.entries(value?.items ?? {}).map(([id, { name }]) => {
    const [row, label, back] = ["li", "span", "button"].map((tag) => document.createElement(tag));
    [label.textContent, back.textContent] = [name, "Back"];
    back.onclick = () => edited.merge({ items: { [id]: null } });
    row.append(label, back);
    return row;
  });
  find("#sold-out").replaceChildren(...rows);
  find("#pending").textContent = pending;
}

find("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = new FormData(event.target).get("dish");
  soldOut.get().document.merge({ items: { [newId()]: { name } } });
  event.target.reset();
});

// What happens once, such as a choice that holds for all open tabs, is an event of the page.
client.page.subscribe("quiet", (chosen) => (find("#quiet").checked = chosen));
find("#quiet").addEventListener("change", ({ target }) => client.page.publish("quiet", target.checked));

connect(client);
client.start();
