// The team's part of the kitchen's panel: who is on shift, and how long an order may wait.

import { el, setText } from "../../shared/dom.js";
import { t } from "../../shared/language.js";
import { newKey } from "../../shared/outbox.js";

const MAX_NAME = 60;
const COLUMNS = ["new", "progress", "ready"];
const COLOURS = ["amber", "red"];

/** The parts of the panel for one store. */
export class TeamPart {
  #store;
  #send;
  #label = el("label", { class: "spoken" });
  #name;
  #add;
  #form;

  /**
   * @param store the StoreDocuments of the store
   * @param send (promise of an edit): called with each change
   * @param left (event): called when the text field has lost the focus
   */
  constructor(store, send, left) {
    this.#store = store;
    this.#send = send;
    this.#label.setAttribute("for", `come-${store.id}`);
    this.#name = el("input", { id: `come-${store.id}`, maxlength: String(MAX_NAME), autocomplete: "off", onblur: left });
    this.#add = el("button", { id: `come-add-${store.id}`, class: "button", type: "submit" });
    this.#form = el("form", { class: "come", onsubmit: (event) => this.#addPerson(event) }, this.#label, this.#name, this.#add);
  }

  /** The sections of the panel. `named`: whether their titles name the store, as where there are several. */
  parts(named) {
    const title = (text) => el("h3", {}, named ? `${t(text)} · ${t("store", { store: this.#store.id })}` : t(text));
    return [this.#shift(title("onShift")), this.#ages(title("ages"))];
  }

  #shift(title) {
    setText(this.#label, t("personName"));
    setText(this.#add, t("addPerson"));
    this.#name.setAttribute("placeholder", t("personName"));
    const people = this.#store.people.map(({ id, name, task }) =>
      el("li", {}, el("span", { dir: "auto" }, task === "" ? name : `${name} · ${task}`),
        el("button", { id: `leave-${id}`, class: "button", type: "button", "aria-label": t("leaveOf", { name }),
          onclick: () => this.#send(this.#store.removePerson(id)) }, t("leave"))));
    const list = people.length === 0 ? el("p", { class: "quiet" }, t("nobody")) : el("ul", { class: "people", role: "list" }, people);
    return el("section", { class: "panel-part", "data-part": "shift" }, title, list, this.#form);
  }

  #addPerson(event) {
    event.preventDefault();
    const name = this.#name.value.trim();
    if (name === "") return;
    this.#name.value = "";
    this.#send(this.#store.addPerson(newKey(), name, ""));
    // A panel is not drawn again while somebody types in it, so the focus moves to the button.
    this.#add.focus();
  }

  #ages(title) {
    const { ages } = this.#store;
    const rows = COLUMNS.flatMap((column) => COLOURS.map((colour) => this.#age(column, colour, ages[column][colour])));
    return el("section", { class: "panel-part", "data-part": "ages" }, title, el("p", { class: "quiet" }, t("agesLead")), rows);
  }

  #age(column, colour, minutes) {
    const name = `${t(column)} · ${t(`age_${colour}`)}`;
    const step = (more, sign, label) =>
      el("button", { id: `age-${this.#store.id}-${column}-${colour}-${label}`, class: "button", type: "button",
        "data-repeats": true, "aria-label": t(label, { name }), onclick: () => this.#send(this.#store.setAge(column, colour, more)) }, sign);
    return el("div", { class: "stepper", "data-age": `${column}-${colour}` }, el("span", {}, name),
      step(-1, "−", "ageLess"), el("output", {}, t("ageMinutes", { minutes })), step(1, "+", "ageMore"));
  }
}
