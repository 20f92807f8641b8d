// The kitchen's panel beside the board: what the store tells its guests, what is to be made, what is sold out.

import { byId, el, setText } from "../../shared/dom.js";
import { language, t } from "../../shared/language.js";
import { sameName } from "../../shared/names.js";
import { ofBrowser } from "../../shared/storage.js";
import { VOLUMES } from "../alarm/bell.js";
import { KINDS } from "../alarm/when_it_sounds.js";
import { WAITS } from "../board/steps.js";
import { toggleFullScreen } from "../screen.js";
import { loadMenu } from "./menu.js";
import { PairingPart } from "./pairing.js";
import { PhonePart } from "./phone.js";
import { Station } from "./station.js";
import { StoreDocuments, WAITING_STEP } from "./store.js";
import { TeamPart } from "./team.js";

/** Which sections of the menu this device shows, whoever is signed in. */
const STATION = "yabam.station";
/** After this time a press is over. */
const PRESS_MS = 300;

/** The kitchen's panel. */
export class Panel {
  #root = byId("kitchen");
  #stores;
  #bell;
  #menu = [];
  #station = new Station();
  #teams;
  #pairings;
  #phone;
  #changed;
  #orders = [];
  #totals = [];
  #isOpen = false;
  #failed;
  #find = el("input", {
    ...{ type: "search", id: "find-dish", autocomplete: "off" },
    oninput: () => this.#filter(),
    onblur: (event) => this.#left(event),
  });

  /**
   * @param state the documents, as YabamClient.state
   * @param stores the ids of the stores whose documents are followed
   * @param bell the terminal's Bell
   * @param failed (text): called when an edit was not accepted
   * @param changed called when a document has changed, or the sections that this screen shows
   * @param pair (store's id) → a promise of a code for a new tablet, as offerPairing returns it
   * @param owner the subject of the signed-in owner
   * @param device this device's name at Core
   * @param token () → the owner's bearer token
   */
  constructor({ state, stores, bell, failed, changed, pair, owner, device, token }) {
    this.#stores = stores.map((id) => new StoreDocuments(state, id));
    this.#bell = bell;
    this.#failed = failed;
    this.#changed = changed;
    this.#pairings = stores.map((id) => new PairingPart(id, () => pair(id), () => this.show()));
    this.#phone = new PhonePart({ stores, owner, device, token, show: () => this.show() });
    this.#phone.start();
    this.#teams = this.#stores.map((store) => new TeamPart(store, (edit) => this.#send(edit), (event) => this.#left(event)));
    for (const store of this.#stores) {
      store.watch(() => {
        this.show();
        changed();
      });
    }
    this.#load();
  }

  /** The ids of the stores that take no orders now. */
  get paused() {
    return this.#stores.filter((store) => !store.isTaking).map((store) => store.id);
  }

  /** What this screen shows of the orders: its Station. */
  get station() {
    return this.#station;
  }

  /** When orders of a store have waited too long, as WAITS; the default if the store's documents are not followed. */
  waitsOf(storeId) {
    return this.#stores.find(({ id }) => id === storeId)?.ages ?? WAITS;
  }

  /** Shows the sections of the menu with these ids; none: all sections. */
  choose(sections) {
    ofBrowser.writeJson(STATION, sections);
    this.#station = new Station(this.#menu, sections);
    this.#changed();
    this.show();
  }

  /** The names of the sections that this screen shows; empty if it shows all. */
  get chosenNames() {
    const { chosen } = this.#station;
    return this.#menu.filter(({ id }) => chosen.includes(id)).map(nameOf);
  }

  toggle() {
    this.#isOpen = !this.#isOpen;
    this.#root.hidden = !this.#isOpen;
    byId("open-kitchen").setAttribute("aria-expanded", String(this.#isOpen));
    this.show();
    if (this.#isOpen) this.#root.querySelector("button, input")?.focus();
  }

  /** Subscribes this device again, as after a new token: Core keeps the subscription only with a valid one. */
  renewPushes() {
    this.#phone.again();
  }

  /** Ends this device's subscription to notifications. */
  endPushes() {
    this.#phone.end().catch(() => {});
  }

  /** Takes orders again, in all stores. */
  resume() {
    for (const store of this.#stores) if (!store.isTaking) this.#send(store.setTaking(true));
  }

  /**
   * Shows what is to be made.
   *
   * @param orders those that this screen shows
   * @param totals the dishes that are still to be made, as allDay returns them
   */
  count(orders, totals) {
    this.#orders = orders;
    this.#totals = totals;
    this.show();
  }

  show() {
    // Somebody is typing: Korean letters are composed in the field, and moving it would lose that.
    const isTyped = document.activeElement?.matches("input") && this.#root.contains(document.activeElement);
    if (!this.#isOpen || isTyped) return;
    const focused = document.activeElement?.id;
    const { scrollTop } = this.#root;
    this.#root.setAttribute("aria-label", t("kitchen"));
    this.#root.replaceChildren(
      el("div", { class: "panel-head" }, el("h2", {}, t("kitchen")),
        el("button", { class: "button tool", type: "button", "aria-label": t("close"), onclick: () => this.toggle() }, "×")),
      ...this.#stores.map((store) => this.#word(store)),
      this.#allDay(),
      ...[
        ...this.#stores.map((store) => this.#dishes(store)),
        this.#stations(),
        ...this.#teams.flatMap((team) => team.parts(this.#stores.length > 1)),
        this.#sounds(),
        ...this.#pairings.map((pairing) => pairing.part()),
        this.#phone.part(),
      ].filter((part) => part !== null),
      el("button", { id: "open-printers", class: "button wide", type: "button", "data-action": "printers" }, t("printers")),
      el("button", { class: "button wide", type: "button", onclick: toggleFullScreen }, t("fullScreen")),
    );
    this.#filter();
    this.#root.scrollTop = scrollTop;
    if (focused) byId(focused)?.focus();
  }

  async #load() {
    this.#menu = await loadMenu();
    this.choose(ofBrowser.readJson(STATION) ?? []);
  }

  /**
   * Draws the panel again when nobody types in it any more. It waits for the end of a press, because a button that is
   * drawn again while it is pressed would get no click.
   */
  #left({ relatedTarget }) {
    if (!this.#root.contains(relatedTarget)) setTimeout(() => this.show(), PRESS_MS);
  }

  #title(text, store) {
    return el("h3", {}, this.#stores.length > 1 ? `${t(text)} · ${t("store", { store: store.id })}` : t(text));
  }

  #word(store) {
    const minutes = store.waiting === null ? t("waitingUnsaid") : t("ageMinutes", { minutes: store.waiting });
    const step = (id, text, label, more) =>
      el("button", { id: `${id}-${store.id}`, class: "button", type: "button", "data-repeats": true,
        "aria-label": t(label, { minutes: WAITING_STEP }), onclick: () => this.#send(store.setWaiting(more)) }, text);
    return el("section", { class: "panel-part", "data-store": store.id },
      this.#title("guestsAreTold", store),
      el("div", { class: "stepper waiting-time" }, el("span", {}, t("waiting")),
        step("waiting-less", "−", "waitingLess", -1), el("output", {}, minutes), step("waiting-more", "+", "waitingMore", 1)),
      el("button", {
        id: `taking-${store.id}`, class: `button wide ${store.isTaking ? "" : "main"}`, type: "button",
        "data-taking": String(store.isTaking), onclick: () => this.#send(store.setTaking(!store.isTaking)),
      }, t(store.isTaking ? "pauseOrders" : "takeOrders")),
      el("p", { class: "quiet" }, store.isPending ? t("notToldYet") : ""));
  }

  #allDay() {
    const rows = this.#totals.map(({ name, count }) =>
      el("li", {}, el("strong", {}, `${count}×`), el("span", { dir: "auto" }, name)));
    return el("section", { class: "panel-part" }, el("h3", {}, t("allDay")),
      rows.length === 0 ? el("p", { class: "quiet" }, t("nothingToMake")) : el("ul", { id: "all-day", class: "all-day", role: "list" }, rows));
  }

  #dishes(store) {
    this.#find.setAttribute("placeholder", t("findDish"));
    this.#find.setAttribute("aria-label", t("findDish"));
    const rows = this.#known(store).map((dish) => this.#dish(store, dish));
    return el("section", { class: "panel-part" }, this.#title("soldOutTitle", store),
      store === this.#stores[0] ? this.#find : null, el("ul", { class: "dishes", role: "list" }, rows));
  }

  #dish(store, dish) {
    const isOut = dish.names.some((name) => store.isSoldOut(name));
    const name = nameOf(dish);
    return el("li", { "data-names": sameName(dish.names.join(" ")) }, el("span", { dir: "auto" }, name),
      el("button", {
        id: `dish-${store.id}-${dish.id ?? sameName(name)}`, class: `button ${isOut ? "out" : ""}`, type: "button",
        "aria-pressed": String(isOut), "aria-label": t("soldOutOf", { dish: name }), "data-dish": name,
        onclick: () => this.#send(store.setSoldOut(dish, !isOut)),
      }, t(isOut ? "soldOutNow" : "soldOutNot")));
  }

  /** The dishes of the menu, those of the orders, and those that are sold out: each once. */
  #known(store) {
    const found = new Map();
    const add = (dish) => {
      if (!dish.names.some((name) => found.has(sameName(name)))) for (const name of dish.names) found.set(sameName(name), dish);
    };
    this.#menu.flatMap(({ dishes }) => dishes).forEach(add);
    const own = this.#orders.filter((order) => order.store_id === store.id);
    for (const name of [...store.soldOut, ...own.flatMap(({ items }) => items.map((item) => item.name))]) add({ names: [name] });
    return [...new Set(found.values())];
  }

  #filter() {
    const query = sameName(this.#find.value);
    for (const row of this.#root.querySelectorAll(".dishes li")) row.hidden = !row.dataset.names.includes(query);
  }

  #stations() {
    if (this.#menu.length === 0) return null;
    const { chosen } = this.#station;
    const choice = (id, text, isChosen, sections) =>
      el("button", { id, class: "button", type: "button", "aria-pressed": String(isChosen), onclick: () => this.choose(sections) }, text);
    return el("section", { class: "panel-part", "data-part": "stations" }, el("h3", {}, t("stations")),
      el("div", { class: "choices" },
        choice("station-all", t("stationAll"), chosen.length === 0, []),
        this.#menu.map((section, n) =>
          choice(`station-${n}`, nameOf(section), chosen.includes(section.id), this.#station.with(section.id)))));
  }

  #sounds() {
    const bell = this.#bell;
    const volumes = Object.keys(VOLUMES).map((name) =>
      el("button", { id: `volume-${name}`, class: "button", type: "button", "aria-pressed": String(bell.volume === name),
        onclick: () => bell.setVolume(name) }, t(`volume_${name}`)));
    const kinds = Object.keys(KINDS).map((kind) =>
      el("button", { class: "button", type: "button", onclick: () => bell.listen(kind) }, t(`sound_${kind}`)));
    return el("section", { class: "panel-part" }, el("h3", {}, t("volume")), el("div", { class: "choices" }, volumes),
      el("p", { class: "quiet" }, t("listen")), el("div", { class: "choices" }, kinds));
  }

  async #send(edit) {
    try {
      const { outcome, problem } = await (await edit).settled();
      if (outcome === "refused") this.#failed(problem?.detail ?? outcome);
    } catch (error) {
      this.#failed(error.message);
    }
  }
}

/** The name of a dish or a section in the current language. */
const nameOf = ({ names }) => names[language() === "ko" ? 0 : names.length - 1];

/**
 * Says in a strip that this screen shows only a part of the orders.
 *
 * @param names the names of the sections that it shows; empty: it shows all, and the strip is hidden
 * @param showAll called when somebody wants to see all
 */
export function showStation(names, showAll) {
  const strip = byId("station");
  strip.hidden = names.length === 0;
  setText(strip.querySelector("span"), names.length === 0 ? "" : t("stationOnly", { names: names.join(", ") }));
  setText(strip.querySelector("button"), t("stationShowAll"));
  strip.querySelector("button").onclick = showAll;
}

/**
 * Says in a strip that orders are not taken.
 *
 * @param stores the ids of the stores that take none; empty: the strip is hidden
 * @param resume called when the stores are to take orders again
 */
export function showPaused(stores, resume) {
  const strip = byId("paused");
  strip.hidden = stores.length === 0;
  setText(strip.querySelector("span"), stores.length === 0 ? "" : t("paused"));
  setText(strip.querySelector("button"), t("takeOrders"));
  strip.querySelector("button").onclick = resume;
}
