// The panels below the key figures: stores to phone, connected devices, the busiest channels, the processes.

import { el } from "../shared/dom.js";
import { t } from "../shared/language.js";
import { DEVICE_MODES } from "../yabam/contract/contract_lists.js";
import { meter } from "./chart.js";
import { acknowledging, nodeName } from "./judgement.js";
import { known, number, span } from "./numbers.js";

const empty = (text, good = false) => el("p", { class: good ? "empty good" : "empty" }, text);

/** How many devices are in each mode, with a bar for each. */
export function clients(modes) {
  if (modes === null) return empty(t("unknown"));
  const total = DEVICE_MODES.reduce((sum, mode) => sum + (modes[mode] ?? 0), 0);
  if (total === 0) return empty(t("clientsNone"));
  return el("ul", { class: "bars", role: "list" }, DEVICE_MODES.map((mode) => bar(t(`mode_${mode}`), modes[mode] ?? 0, total, mode)));
}

function bar(name, value, total, kind) {
  const share = total > 0 ? value / total : 0;
  return el("li", {}, el("span", { class: "name" }, name), el("b", {}, number(value)), meter(share, kind));
}

/** The busiest channels, as a table. */
export function top(channels) {
  if (channels.length === 0) return empty(t("topNone"));
  return table(
    ["channel", "followersHead", "eventsHead"],
    channels.map((c) => [c.channel, [el("code", {}, c.channel), number(c.followers), number(c.events)]]),
  );
}

/**
 * The stores that somebody must phone, as a table. In each row the page fills a slot with where the oldest order is.
 */
export function late(stores) {
  if (stores === null) return empty(t("lateUnknown"));
  if (stores.length === 0) return empty(t("lateNone"), true);
  return table(
    ["store", "contact", "problem", "orders", "waiting", "oldestOrder", "acknowledgement"],
    byStore(stores).map((one) => [
      one.store_id,
      [
        el("code", { class: "short" }, one.store_id),
        contact(one.contact),
        one.kinds.map(({ kind }) => el("span", { class: "badge", "data-tone": "new" }, known(`kind_${kind}`, kind))),
        number(one.orders),
        span(one.waiting_s),
        [el("code", { class: "quiet" }, one.order_id), slot(one.order_id)],
        acknowledgement(one),
      ],
    ]),
  );
}

const slot = (id) => el("span", { "data-slot": id, "data-key": id });

/** Whom to phone, with a link that a telephone can dial. */
function contact(one) {
  if (one === null) return el("span", { class: "quiet" }, t("contactNone"));
  const number = one.phone.replace(/[^0-9+]/g, "");
  return [one.name ? `${one.name} ` : "", number ? el("a", { class: "phone", href: `tel:${number}` }, one.phone) : ""];
}

/** The button of a store. If the store has two problems, one press acknowledges both. */
function acknowledgement({ store_id: id, kinds }) {
  const open = kinds.filter(({ acknowledged }) => !acknowledged);
  const names = (open.length > 0 ? open : kinds).map(({ kind }) => `${kind}:${id}`);
  return acknowledging(names.join("\n"), open.length > 0 ? null : kinds[0].acknowledged);
}

/** Merges the rows of a store into one: an order that no device has received was not accepted by anybody either. */
function byStore(stores) {
  const found = new Map();
  for (const one of stores) {
    const row = found.get(one.store_id) ?? { ...one, kinds: [], orders: 0, waiting_s: 0 };
    found.set(one.store_id, row);
    row.kinds.push(one);
    row.kinds.sort((a, b) => (a.kind < b.kind ? 1 : -1));
    row.orders = Math.max(row.orders, one.orders);
    row.waiting_s = Math.max(row.waiting_s, one.waiting_s);
  }
  return [...found.values()];
}

/**
 * The processes, those in trouble first, as a table.
 *
 * @param list the processes, as the figures have them
 * @param configured how many processes Core was told to watch; 0: a hint says how to configure them
 * @returns the element
 */
export function nodes(list, configured) {
  const order = ["down", "not-ready", "ready"];
  const sorted = [...list].sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
  const rows = sorted.map((node) => [
    node.node,
    [
      el("span", { class: `badge state-${node.state}` }, known(`state_${node.state}`, node.state)),
      known(`kind_${node.kind}`, node.kind),
      el("code", {}, nodeName(node.name)),
      node.detail || figuresOf(node.figures),
    ],
  ]);
  const hint = configured === 0 ? [el("p", { class: "empty" }, t("nodesNone"))] : [];
  return el("div", {}, table(["state", "kind", "node", "detail"], rows), ...hint);
}

function figuresOf(figures) {
  const parts = Object.entries(figures).map(([name, value]) =>
    known(`figure_${name}`, `${name} ${value}`, { value: number(value) }));
  return parts.join(" · ");
}

function table(heads, rows) {
  const head = el("tr", {}, heads.map((name) => el("th", { scope: "col" }, t(name))));
  const body = rows.map(([key, cells]) =>
    el("tr", { "data-key": key }, cells.map((cell, n) => el("td", { "data-head": t(heads[n]) }, el("div", {}, cell)))));
  return el("table", {}, el("thead", {}, head), el("tbody", {}, body));
}
