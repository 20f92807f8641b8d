// Which orders this terminal has shown to a person. A card counts as shown once a good part of it is visible.

import { SeenSender } from "../../yabam/client/receipts.js";

const IN_SIGHT = 0.3;

/**
 * Tells Core which orders a person could see on this screen.
 *
 * @param root the board's element
 * @param transport the page's Transport
 * @param signal an AbortSignal that ends it
 */
export function tellShown(root, transport, signal) {
  const sender = new SeenSender((orders) => transport.seen(orders));
  watchShown(root, (id) => sender.seen(id), signal);
  signal.addEventListener("abort", () => sender.stop());
}

/**
 * Calls `seen` for each card of the board that becomes visible while the page is visible.
 *
 * @param root the board's element; its cards have the class `card`, and the order's id as `data-press`
 * @param seen (order's id)
 * @param signal an AbortSignal that ends it
 */
function watchShown(root, seen, signal) {
  const sight = new IntersectionObserver((entries) => {
    if (document.hidden) return;
    for (const { isIntersecting, target } of entries) if (isIntersecting) seen(target.dataset.press);
  }, { threshold: IN_SIGHT });
  const cardsOf = (node) => (node.nodeType !== Node.ELEMENT_NODE ? [] :
    node.matches(".card") ? [node] : [...node.querySelectorAll(".card")]);
  const changes = new MutationObserver((records) => {
    for (const { addedNodes, removedNodes } of records) {
      for (const node of removedNodes) for (const card of cardsOf(node)) sight.unobserve(card);
      for (const node of addedNodes) for (const card of cardsOf(node)) sight.observe(card);
    }
  });
  changes.observe(root, { childList: true, subtree: true });
  // Cards that became visible while the page was hidden are checked again.
  const again = () => {
    if (document.hidden) return;
    sight.disconnect();
    for (const card of root.querySelectorAll(".card")) sight.observe(card);
  };
  document.addEventListener("visibilitychange", again, { signal });
  signal.addEventListener("abort", () => {
    changes.disconnect();
    sight.disconnect();
  });
}
