// Printers on the terminal: a strip when one needs attention, and a sheet with all of them.

import { byId, el, setText } from "../../shared/dom.js";
import { t } from "../../shared/language.js";
import { StoreDevices } from "./devices.js";
import { needsAttention } from "./printer_states.js";
import { newPrinter, printerForm, stationsForm } from "./settings.js";
import { StorePrinters } from "./store_printers.js";
import "./texts.js";

/** The printers of all stores of this terminal. */
export class Printers {
  #strip = byId("printers-care");
  #sheet = byId("printers");
  #stores;
  #devices;
  #failed;
  #shown = "";

  /**
   * @param state the documents, as YabamClient.state
   * @param stores the ids of the stores whose documents are followed
   * @param followed the names of all channels that the client follows
   * @param token () → the owner's bearer token
   * @param failed (text): says what could not be done
   */
  constructor({ state, stores, followed, token, failed }) {
    this.#stores = stores.map((id) => new StorePrinters({ state, id, followed, token }));
    this.#devices = stores.map((id) => new StoreDevices(id, token));
    this.#failed = failed;
    this.#strip.querySelector("button").onclick = () => this.open();
  }

  open() {
    this.#shown = "";
    this.#sheet.showModal();
    for (const devices of this.#devices) devices.load();
    this.look();
  }

  close() {
    this.#sheet.close();
    this.#strip.hidden = true;
  }

  /** Shows what has changed since the last call. */
  look() {
    const states = this.#stores.map((store) => store.states);
    for (const store of this.#stores) store.remember();
    this.#showStrip(states.flat().filter(needsAttention));
    if (!this.#sheet.open || this.#isTyping) return;
    const shown = JSON.stringify([document.documentElement.lang, states, this.#stores.map((one) => [one.settings, one.stations])]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#fill(states);
  }

  /** Whether somebody is typing. Korean letters are composed in the field, and a new field would lose that. */
  get #isTyping() {
    const { activeElement: active } = document;
    return this.#sheet.contains(active) && active.matches("input:not([type=checkbox]), textarea, select");
  }

  #showStrip(printers) {
    this.#strip.hidden = printers.length === 0;
    const names = printers.map(({ id, troubles }) => (troubles.length > 0 ? `${id} (${troubles.join(", ")})` : id));
    setText(this.#strip.querySelector("span"), printers.length === 0 ? "" : t("printersCare", { names: names.join(", ") }));
    setText(this.#strip.querySelector("button"), t("printersShow"));
  }

  #fill(states) {
    const focused = document.activeElement?.id;
    const { scrollTop } = this.#sheet;
    const send = (edit) => this.#send(edit);
    this.#sheet.replaceChildren(
      el("h2", { id: "printers-title" }, t("printers")),
      ...this.#stores.flatMap((store, n) => [
        this.#stores.length > 1 ? el("h3", {}, t("store", { store: store.id })) : "",
        states[n].length === 0 ? el("p", { class: "quiet" }, t("printersNone")) : "",
        ...states[n].map((one, place) => this.#printer(store, one, store.settings[place])),
        newPrinter(store, send) ?? "",
        stationsForm(store, send),
        this.#devices[n].element,
      ]),
      el("form", { method: "dialog" }, el("button", { class: "button main", type: "submit" }, t("close"))),
    );
    this.#sheet.scrollTop = scrollTop;
    if (focused) byId(focused)?.focus();
  }

  #printer(store, { id, state, troubles, tickets }, settings) {
    const reload = el("button", { class: "button", type: "button", onclick: () => location.reload() }, t("reload"));
    return el("section", { class: "printer", "data-printer": id, "data-state": state },
      el("h3", {}, el("span", { dir: "auto" }, id), " ", el("span", { class: `badge ${state === "online" ? "" : "out"}` }, t(`printer_${state}`))),
      state === "new" ? reload : null,
      troubles.length > 0 ? el("p", { class: "error" }, troubles.join(", ")) : null,
      tickets.length === 0 ? el("p", { class: "quiet" }, t("ticketsNone"))
        : el("ul", { class: "tickets", role: "list" }, tickets.map((one) => this.#ticket(store, id, one))),
      printerForm(store, settings, (edit) => this.#send(edit)));
  }

  #ticket(store, printer, { id, order, lines, state, waits, detail }) {
    const step = (name, text) =>
      el("button", { id: `${name}-${printer}-${id}`, class: "button", type: "button",
        onclick: () => this.#tell(store, printer, id, name) }, t(text));
    const what = lines.find(({ text }) => text.trim() !== "")?.text.trim() ?? "";
    return el("li", { "data-ticket": id, "data-state": state },
      el("span", { dir: "auto" }, `${what} #${order.slice(-4).toUpperCase()}`),
      el("span", {}, waits ? `${t(`ticket_${state}`)}, ${t("ticketWaits")}` : t(`ticket_${state}`)),
      detail ? el("span", { class: "quiet", dir: "auto" }, detail) : null,
      waits ? step("again", "printAgain") : null,
      step("drop", "printDrop"));
  }

  async #tell(store, printer, ticket, step) {
    try {
      await store.tell(printer, ticket, step);
    } catch (error) {
      this.#failed(t("printRefused", { detail: error.message }));
    }
  }

  async #send(edit) {
    try {
      const { outcome, problem } = await (await edit).settled();
      if (outcome === "refused") this.#failed(t("notSaid", { detail: problem?.detail ?? outcome }));
    } catch (error) {
      this.#failed(t("notSaid", { detail: error.message }));
    }
  }
}
