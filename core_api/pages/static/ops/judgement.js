// What is wrong, in words: the verdict in one line, and each alert below it. Core decides what is wrong
// (core_api/dashboard/alerts.py).

import { el } from "../shared/dom.js";
import { t } from "../shared/language.js";
import { dayTime, known } from "./numbers.js";

/**
 * The line with the verdict. While the trouble stays the same, the text stays the same: screen readers speak each
 * change of a live region.
 *
 * @param figures the newest figures; null: none have arrived
 * @param state the feed's state and a detail: [name, text]
 * @returns the element
 */
export function verdictLine(figures, [feed, detail]) {
  if (feed !== "live") return unknown(figures, feed, detail);
  const { level, effect, runbook, alert } = figures.verdict;
  const why = alert === null ? storesLine(figures.verdict) : alertText(alert);
  const words = [el("b", {}, known(`verdict_${effect}`, effect) + (why ? ": " : ""))];
  if (why) words.push(el("span", {}, `${why} `));
  if (runbook) words.push(runbookLink(runbook, why));
  return line(level, words);
}

/** The line while the newest figures are missing: then the state of the system is not known. */
function unknown(figures, feed, detail) {
  if (feed === "starting") return line("grey", [el("b", {}, t("feed_starting"))]);
  const last = figures === null ? "" : t("lastFigures", { time: dayTime(figures.at_ms, figures.at_ms) });
  const why = [t(`fault_${feed}`), last, detail].filter(Boolean).join(" · ");
  return line("unsure", [el("b", {}, `${t("verdict_unknown")}: `), el("span", {}, why)]);
}

const line = (level, words) => el("p", { "data-level": level }, words);

/** The list of alerts, the worst first, each with a button or with the person who deals with it. */
export function alertList(figures) {
  const rows = figures.alerts.map((one) => row(one, alertText(one), one.detail, acknowledging(one.name, one.acknowledged)));
  const stores = storesLine(figures.verdict);
  if (stores) rows.push(row({ level: "red", name: "stores", runbook: "orders-reach-nobody" }, stores, "", storesAcknowledged(figures.late)));
  return el("ul", { class: "alerts", role: "list" }, rows);
}

function row({ level, name, runbook }, text, detail, acknowledgement) {
  const more = detail ? el("span", { class: "quiet" }, detail) : null;
  return el(
    "li",
    { class: `alert ${level}`, "data-key": name },
    el("span", { class: "alert-text" }, el("strong", {}, text), more),
    runbookLink(runbook, text),
    acknowledgement,
  );
}

/**
 * A button by which a person says that they deal with an alert, or the name of the person who does.
 *
 * @param name the alert's; several names stand one per line
 * @param acknowledged who deals with it, since when: {by, at_ms}; null: nobody does yet
 * @returns the element
 */
export function acknowledging(name, acknowledged) {
  if (acknowledged) {
    const { by, at_ms } = acknowledged;
    return el("span", { class: "seen-to" }, t("acknowledgedBy", { by, time: dayTime(at_ms, Date.now()) }));
  }
  return el("button", { class: "button small", type: "button", "data-action": "acknowledge", "data-alert": name }, t("acknowledge"));
}

/** A link to the table below, where the stores are acknowledged one by one. */
function storesAcknowledged(late) {
  const stores = new Set(late.map((one) => one.store_id));
  const open = new Set(late.filter((one) => !one.acknowledged).map((one) => one.store_id));
  if (open.size === 0) return el("span", { class: "seen-to" }, t("storesAcknowledged"));
  return el("a", { href: "#late-title" }, t("toTheStores", { count: open.size, of: stores.size }));
}

/** A link to an entry of the runbook; Core serves the runbook of its own release. */
function runbookLink(entry, about) {
  return el(
    "a",
    { href: `/runbook#${entry}`, target: "_blank", rel: "noopener" },
    t("whatToDo"),
    el("span", { class: "spoken" }, ` (${about})`),
  );
}

function alertText({ cause, node, kind, is_last: isLast, since_ms: at }) {
  const process = `${known(`kind_${kind}`, kind)} ${nodeName(node)}`;
  const since = ` ${t("since", { time: dayTime(at, Date.now()) })}`;
  return known(`alert_${cause}${isLast ? "_last" : ""}`, cause, { process, since });
}

/** The name of a process. "this Core" stands for the Core that serves this page. */
export const nodeName = (name) => (name === "this Core" ? t("thisCore") : name);

/** How many stores wait, and for what; empty: none. */
function storesLine({ unreceived, unaccepted }) {
  const parts = [["unreceived", unreceived], ["unaccepted", unaccepted]].filter(([, count]) => count > 0);
  return parts.map(([kind, count]) => t(`stores_${kind}${count === 1 ? "_one" : ""}`, { count })).join(" · ");
}
