// Notifies this device of new orders by Web Push while it is locked or the page is closed: a part of the kitchen's
// panel.

import { el } from "../../shared/dom.js";
import { language, t } from "../../shared/language.js";
import { ofBrowser } from "../../shared/storage.js";
import { askCore, canBePushed, onReplaced, subscribe, unsubscribe } from "../../shared/core/web_push.js";

/** The key under which the browser stores who wants to be notified: the subject of that owner. */
const OWNER_KEY = "yabam.push";
const READY_MS = 10_000;
/** The name of a text, by the status of Core's answer. */
const REFUSALS = { 403: "pushNone", 409: "pushFull" };
/**
 * Core deletes a subscription that was not renewed for a month. A page may be open for longer, so it renews daily.
 */
const AGAIN_MS = 86_400_000;

/** Ends this browser's subscription if nobody wants it any more: an owner may have signed out without a network. */
export async function endUnwanted() {
  if (ofBrowser.read(OWNER_KEY) === null && canBePushed()) await endHere();
}

/** The part of the panel about this device. */
export class PhonePart {
  #stores;
  #owner;
  #device;
  #token;
  #show;
  #isOn = false;
  #isBusy = false;
  #problem = null;

  /**
   * @param stores the ids of the stores
   * @param owner the subject of the signed-in owner
   * @param device this device's name at Core
   * @param token () → the owner's bearer token
   * @param show draws the panel again
   */
  constructor({ stores, owner, device, token, show }) {
    this.#stores = stores;
    this.#owner = owner;
    this.#device = device;
    this.#token = token;
    this.#show = show;
  }

  /**
   * Subscribes again, now and each day, if this owner wants to be notified. The subscription of an earlier owner is
   * ended.
   */
  start() {
    if (!canBePushed()) return;
    setInterval(() => this.again(), AGAIN_MS);
    onReplaced(() => this.again());
    if (ofBrowser.read(OWNER_KEY) === this.#owner) this.again();
    else {
      ofBrowser.remove(OWNER_KEY);
      this.#do(() => endHere().catch(() => {}));
    }
  }

  /** Ends the subscription, as when the owner signs out. */
  async end() {
    if (ofBrowser.read(OWNER_KEY) !== this.#owner) return;
    ofBrowser.remove(OWNER_KEY);
    this.#isOn = false;
    const requests = this.#stores.map((store) => askCore(this.#token(), "DELETE", pathOf(store, this.#device)));
    // If Core cannot be reached, it learns from the push service that the subscription has ended.
    await Promise.all([endHere(), Promise.allSettled(requests)]);
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

  /**
   * Subscribes again if this owner wants to be notified, as after each new token: Core's entry ends with the token
   * that it was made with.
   */
  again() {
    if (!canBePushed()) return;
    if (ofBrowser.read(OWNER_KEY) !== this.#owner || Notification.permission !== "granted") return;
    this.#isOn = true;
    // Without a network the subscription stays as it was.
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

  /**
   * Subscribes for all stores, or for none: otherwise some would notify this device although the panel says that none
   * does.
   */
  async #begin() {
    try {
      await this.#on();
    } catch (problem) {
      await this.end().catch(() => {});
      throw problem;
    }
  }

  async #on() {
    // Asked first, because browsers let a page ask only right after a press.
    if ((await Notification.requestPermission()) !== "granted") throw refusal("pushDenied");
    ofBrowser.write(OWNER_KEY, this.#owner);
    const body = await subscribe(await registered(), this.#token(), language());
    await Promise.all(this.#stores.map((store) => askCore(this.#token(), "PUT", pathOf(store, this.#device), body)));
    this.#isOn = true;
  }
}

const pathOf = (store, device) => `/v1/stores/${encodeURIComponent(store)}/pushes/${encodeURIComponent(device)}`;

const refusal = (text) => Object.assign(new Error(text), { text });

/** Ends the subscription of this page's worker. */
const endHere = async () => unsubscribe(await navigator.serviceWorker.getRegistration());

/** The registration of the page's worker, which shows the notifications. At the first start that may take a while. */
function registered() {
  const late = new Promise((_, reject) => setTimeout(reject, READY_MS, refusal("pushFailed")));
  return Promise.race([navigator.serviceWorker.ready, late]);
}
