// Tells this device of new orders while it is locked or the page is closed, by Web Push: a part of the kitchen's panel.

import { el } from "../../shared/dom.js";
import { language, t } from "../../shared/language.js";
import { ofBrowser } from "../../shared/storage.js";
import { askCore, canBePushed, onReplaced, subscribe, unsubscribe } from "../../shared/core/web_push.js";

/** Under it the browser keeps whom it tells: the subject of that owner. */
const WISH = "yabam.push";
const READY_MS = 10_000;
/** What an answer's status says of it. */
const REFUSALS = { 403: "pushNone", 409: "pushFull" };
/** Core forgets who has not said so again for a month; a page may be open for longer. */
const AGAIN_MS = 86_400_000;

/** Ends it in this browser where nobody wants it any more: whoever signed out may have had no network. */
export async function endUnwanted() {
  if (ofBrowser.read(WISH) === null && canBePushed()) await endHere();
}

/** The part of this device. */
export class PhonePart {
  #stores;
  #owner;
  #device;
  #token;
  #show;
  #isOn = false;
  #isBusy = false;
  #problem = null;

  /** @param stores ids @param owner subject of who is signed in @param device its name at Core @param token () → that of who is signed in @param show draws the panel */
  constructor({ stores, owner, device, token, show }) {
    this.#stores = stores;
    this.#owner = owner;
    this.#device = device;
    this.#token = token;
    this.#show = show;
  }

  /** Subscribes again where this device is told already, now and each day; who signed in before is told no more. */
  start() {
    if (!canBePushed()) return;
    setInterval(() => this.again(), AGAIN_MS);
    onReplaced(() => this.again());
    if (ofBrowser.read(WISH) === this.#owner) this.again();
    else {
      ofBrowser.remove(WISH);
      this.#do(() => endHere().catch(() => {}));
    }
  }

  /** Ends it, as whoever signs out wants. */
  async end() {
    if (ofBrowser.read(WISH) !== this.#owner) return;
    ofBrowser.remove(WISH);
    this.#isOn = false;
    const told = this.#stores.map((store) => askCore(this.#token(), "DELETE", pathOf(store, this.#device)));
    // Where Core does not hear of it, it learns from the push service that this browser is gone.
    await Promise.all([endHere(), Promise.allSettled(told)]);
  }

  part() {
    if (!canBePushed()) return null;
    return el("section", { class: "panel-part", "data-part": "phone" }, el("h3", {}, t("pushTitle")),
      el("p", { class: "quiet" }, t(this.#isOn ? "pushIsOn" : "pushLead")),
      this.#problem === null ? null : el("p", { class: "error", role: "alert" }, t(this.#problem)),
      el("button", {
        id: "phone-push", class: "button wide", type: "button", "aria-pressed": String(this.#isOn),
        onclick: () => this.#do(() => (this.#isOn ? this.end() : this.#begin())),
      }, t(this.#isOn ? "pushEnd" : "pushBegin")));
  }

  /** Subscribes again where this device is told already, as with each new token: what Core keeps ends with the token that it came by. */
  again() {
    if (!canBePushed()) return;
    if (ofBrowser.read(WISH) !== this.#owner || Notification.permission !== "granted") return;
    this.#isOn = true;
    // Without a network it goes on as it was.
    this.#do(() => this.#on().catch(() => {}));
  }

  async #do(work) {
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#problem = null;
    try {
      await work();
    } catch (problem) {
      this.#problem = problem.text ?? REFUSALS[problem.status] ?? "pushFailed";
    }
    this.#isBusy = false;
    this.#show();
  }

  /** All of it or nothing: what was made of it would be told, and the part would say that it is not. */
  async #begin() {
    try {
      await this.#on();
    } catch (problem) {
      await this.end().catch(() => {});
      throw problem;
    }
  }

  async #on() {
    // Asked for first: a browser lets a page ask only right after a press.
    if ((await Notification.requestPermission()) !== "granted") throw refusal("pushDenied");
    ofBrowser.write(WISH, this.#owner);
    const body = await subscribe(await registered(), this.#token(), language());
    await Promise.all(this.#stores.map((store) => askCore(this.#token(), "PUT", pathOf(store, this.#device), body)));
    this.#isOn = true;
  }
}

const pathOf = (store, device) => `/v1/stores/${encodeURIComponent(store)}/pushes/${encodeURIComponent(device)}`;

const refusal = (text) => Object.assign(new Error(text), { text });

/** Ends the subscription of this page's worker. */
const endHere = async () => unsubscribe(await navigator.serviceWorker.getRegistration());

/** The page's worker, which shows the notifications; it may take a while at the first start. */
function registered() {
  const late = new Promise((_, reject) => setTimeout(reject, READY_MS, refusal("pushFailed")));
  return Promise.race([navigator.serviceWorker.ready, late]);
}
