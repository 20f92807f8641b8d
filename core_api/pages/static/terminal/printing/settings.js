// The forms in which an owner sets what a printer prints, and which dishes a station makes. A change applies at once.

import { el } from "../../shared/dom.js";
import { t } from "../../shared/language.js";
import { statusText } from "../../shared/statuses.js";
import { COLUMNS, MAX_COPIES, MAX_PRINTERS, NAME, PRINTED_STATUSES, dishesOf } from "./printer_states.js";

const LANGUAGES = { ko: "한국어", en: "English" };

/**
 * The form of one printer.
 *
 * @param store the StorePrinters of its store
 * @param printer its id and settings: [id, settings]
 * @param send (promise of an edit): called with each change
 * @returns the element
 */
export function printerForm(store, [id, settings], send) {
  const name = `${store.id}-${id}`;
  const choose = (given) => send(store.set(id, given));
  const stations = store.stations.map(([station]) => station);
  return el("div", { class: "printer-form" },
    group("printsAt", PRINTED_STATUSES.map((status) =>
      box(`${name}-at-${status}`, statusText(status), settings.statuses.includes(status), (isOn) => {
        const statuses = PRINTED_STATUSES.filter((one) => (one === status ? isOn : settings.statuses.includes(one)));
        // A printer prints at one status at least; one that should print nothing is removed.
        if (statuses.length > 0) choose({ statuses });
      }, settings.statuses.length === 1 && settings.statuses[0] === status))),
    stations.length === 0 ? null : group("printsItems", [
      box(`${name}-all`, t("printsAll"), settings.stations === null, () => choose({ stations: null }), settings.stations === null),
      ...stations.map((station) =>
        box(`${name}-of-${station}`, station, settings.stations?.includes(station) ?? false, (isOn) => {
          const chosen = stations.filter((one) => (one === station ? isOn : settings.stations?.includes(one)));
          choose({ stations: chosen.length > 0 ? chosen : null });
        })),
    ]),
    el("div", { class: "printer-choices" },
      pick(`${name}-copies`, "copies", range(MAX_COPIES), settings.copies, (copies) => choose({ copies: Number(copies) })),
      pick(`${name}-language`, "paperLanguage", Object.entries(LANGUAGES), settings.language, (language) => choose({ language })),
      pick(`${name}-columns`, "paperColumns", columnsWith(settings.columns), settings.columns, (columns) => choose({ columns: Number(columns) })),
      pick(`${name}-media`, "paperMedia", ["picture", "text"].map((one) => [one, t(`media_${one}`)]), settings.media, (media) => choose({ media }))),
    el("button", { id: `${name}-remove`, class: "button", type: "button", onclick: () => choose(null) }, t("printerRemove")));
}

/**
 * The form that adds a printer.
 *
 * @param store the StorePrinters of the store
 * @param send (promise of an edit): called when a printer is added
 * @returns the element; null: the store has as many printers as it can have
 */
export function newPrinter(store, send) {
  if (store.settings.length >= MAX_PRINTERS) return null;
  return adding(`${store.id}-printer`, "printerAdd", "printerName", (name) => send(store.set(name, { statuses: ["accepted"] })));
}

/**
 * The form of a store's stations.
 *
 * @param store the StorePrinters of the store
 * @param send (promise of an edit): called with each change
 * @returns the element
 */
export function stationsForm(store, send) {
  const rows = store.stations.map(([name, dishes]) => {
    const id = `${store.id}-station-${name}`;
    const text = el("textarea", { id, rows: "4", onchange: () => send(store.setStation(name, dishesOf(text.value))) });
    text.value = dishes.join("\n");
    return el("div", {}, el("label", { for: id }, t("stationDishes", { station: name })), text,
      el("button", { id: `${id}-remove`, class: "button", type: "button", onclick: () => send(store.setStation(name, null)) },
        t("stationRemove", { station: name })));
  });
  return el("div", {}, el("h3", {}, t("stationsTitle")), el("p", { class: "quiet" }, t("stationsHint")), ...rows,
    adding(`${store.id}-station`, "stationAdd", "stationName", (name) => send(store.setStation(name, []))));
}

function adding(id, button, hint, add) {
  const field = el("input", { id, autocomplete: "off", autocapitalize: "off", spellcheck: "false", maxlength: "64", "aria-describedby": `${id}-error` });
  const error = el("p", { id: `${id}-error`, class: "error", role: "alert" });
  const submit = (event) => {
    event.preventDefault();
    const name = field.value.trim();
    error.textContent = NAME.test(name) ? "" : t("printerNameBad");
    if (error.textContent !== "") return;
    field.value = "";
    field.blur();
    add(name);
  };
  return el("form", { class: "adding", novalidate: true, onsubmit: submit }, el("label", { for: id }, t(hint)), field, error,
    el("button", { id: `${id}-add`, class: "button", type: "submit" }, t(button)));
}

const group = (legend, boxes) =>
  el("fieldset", { class: "chips" }, el("legend", {}, t(legend)), ...boxes);

function box(id, text, isOn, changed, isFixed = false) {
  const input = el("input", { id, type: "checkbox", disabled: isFixed, onchange: () => changed(input.checked) });
  input.checked = isOn;
  return el("label", { class: "check" }, input, el("span", { dir: "auto" }, text));
}

function pick(id, label, options, chosen, changed) {
  const select = el("select", { id, onchange: () => changed(select.value) },
    options.map(([value, text]) => el("option", { value }, text)));
  select.value = String(chosen);
  return el("label", {}, t(label), select);
}

const range = (most) => Array.from({ length: most }, (_, n) => [String(n + 1), String(n + 1)]);
const columnsWith = (own) => [...new Set([...COLUMNS, own])].sort((a, b) => a - b).map((one) => [String(one), String(one)]);
