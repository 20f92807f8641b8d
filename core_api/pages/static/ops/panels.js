// The panels below the key figures: who is there, who had to start anew, what is busy, what is ill.

import { el } from "../shared/dom.js";
import { t } from "../shared/language.js";
import { DEVICE_MODES, RESET_REASONS, SYNC_REQUIRED_REASONS } from "../yabam/contract_lists.js";
import { meter } from "./chart.js";
import { known, number, span } from "./numbers.js";

const REASONS = [...SYNC_REQUIRED_REASONS, ...RESET_REASONS];

const empty = (text, good = false) => el("p", { class: good ? "empty good" : "empty" }, text);

/** Devices by mode, as a bar and a legend. */
export function clients(modes) {
  if (modes === null) return empty(t("unknown"));
  const total = DEVICE_MODES.reduce((sum, mode) => sum + (modes[mode] ?? 0), 0);
  if (total === 0) return empty(t("clientsNone"));
  return el("ul", { class: "bars" }, DEVICE_MODES.map((mode) => bar(t(`mode_${mode}`), modes[mode] ?? 0, total, mode)));
}

/** Clients that had to start anew, by reason. */
export function resyncs(reasons) {
  if (reasons === null) return empty(t("unknown"));
  const shown = [...new Set([...REASONS, ...Object.keys(reasons)])].filter((name) => reasons[name] > 0);
  if (shown.length === 0) return empty(t("resyncsNone"), true);
  const most = Math.max(...shown.map((name) => reasons[name]));
  return el("ul", { class: "bars" }, shown.map((name) => {
    const kind = ["gap", "ahead"].includes(name) ? "bad" : "plain";
    return bar(known(`reason_${name}`, name), reasons[name], most, kind);
  }));
}

function bar(name, value, total, kind) {
  const share = total > 0 ? value / total : 0;
  return el("li", {}, el("span", { class: "name" }, name), el("b", {}, number(value)), meter(share, kind));
}

/** The busiest channels. */
export function top(channels) {
  if (channels.length === 0) return empty(t("topNone"));
  return table(
    ["channel", "followersHead", "eventsHead"],
    channels.map((c) => [el("code", {}, c.channel), number(c.followers), number(c.events)]),
  );
}

/** The stores that somebody must phone; `where(id)` gives elements that say on which devices an order is. */
export function late(stores, where) {
  if (stores === null) return empty(t("lateUnknown"));
  if (stores.length === 0) return empty(t("lateNone"), true);
  return table(
    ["store", "problem", "orders", "waiting", "oldestOrder"],
    byStore(stores).map((one) => [
      el("code", { class: "short" }, one.store_id),
      one.kinds.map((kind) => el("span", { class: "badge", "data-tone": "new" }, known(`kind_${kind}`, kind))),
      number(one.orders),
      span(one.waiting_s),
      [el("code", { class: "quiet" }, one.order_id), ...where(one.order_id)],
    ]),
  );
}

/** One row per store: an order that no device has is accepted by nobody either. */
function byStore(stores) {
  const found = new Map();
  for (const one of stores) {
    const row = found.get(one.store_id);
    if (row === undefined) {
      found.set(one.store_id, { ...one, kinds: [one.kind] });
    } else {
      row.kinds.push(one.kind);
      row.kinds.sort().reverse();
      row.orders = Math.max(row.orders, one.orders);
    }
  }
  return [...found.values()];
}

/** The processes, those in trouble first. */
export function nodes(list, configured) {
  const order = ["down", "not-ready", "ready"];
  const sorted = [...list].sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
  const rows = sorted.map((node) => [
    el("span", { class: `badge state-${node.state}` }, known(`state_${node.state}`, node.state)),
    known(`kind_${node.kind}`, node.kind),
    el("code", {}, node.node.replace(/^https?:\/\//, "")),
    node.detail || figuresOf(node.figures),
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
  const body = rows.map((cells) =>
    el("tr", {}, cells.map((cell, n) => el("td", { "data-head": t(heads[n]) }, el("div", {}, cell)))));
  return el("table", {}, el("thead", {}, head), el("tbody", {}, body));
}
