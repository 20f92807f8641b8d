import { connect } from "yabam-events/elements";
import { client, drawn } from "./client.js";

document.addEventListener("yabam-change", ({ target }) => {
  if (target.id) drawn(target.id);
});
// The changes within rows, by the order's first dish.
new MutationObserver((changes) => {
  const rows = new Set(changes.map(({ target }) => target.closest?.("[data-order]")));
  for (const row of rows) {
    if (row) drawn(client.commands.order(row.dataset.order).order.items[0].name);
  }
}).observe(document.querySelector("yabam-orders"), { subtree: true, childList: true, attributes: true });

connect(client);
client.start();
