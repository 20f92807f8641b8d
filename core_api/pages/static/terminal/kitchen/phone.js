// Tells this device of new orders while it is locked or the page is closed, by Web Push: a part of the kitchen's panel.

import { el } from "../../shared/dom.js";
import { language, t } from "../../shared/language.js";
import { ofBrowser } from "../../shared/storage.js";

const WISH = "yabam.push";
const ANSWER_MS = 10_000;

/** Whether this browser can be told at all: over HTTPS, on an iPhone once the page is on its home screen. */
const isPossible = () => "PushManager" in globalThis && "Notification" in globalThis && "serviceWorker" in navigator;

/** The part of this device. */
export class PhonePart {
  #stores;
  #device;
  #token;
  #show;
  #isOn = false;
  #isBusy = false;
  #problem = null;

  /** @param stores ids @param device its name at Core @param token () → that of who is signed in @param show draws the panel */
  constructor({ stores, device, token, show }) {
    this.#stores = stores;
    this.#device = device;
    this.#token = token;
    this.#show = show;
  }

  /** Subscribes again where this device is told already: Core forgets who has not done so for a month. */
  start() {
    if (isPossible() && ofBrowser.read(WISH) === "on" && Notification.permission === "granted") this.#do(() => this.#on());
  }

  /** Ends it, as whoever signs out wants. */
  async end() {
    if (ofBrowser.read(WISH) !== "on") return;
    ofBrowser.remove(WISH);
    this.#isOn = false;
    const told = this.#stores.map((store) => this.#ask("DELETE", pathOf(store, this.#device)));
    const subscription = await (await registered()).pushManager.getSubscription();
    await Promise.all([...told, subscription?.unsubscribe()]);
  }

  part() {
    if (!isPossible()) return null;
    return el("section", { class: "panel-part", "data-part": "phone" }, el("h3", {}, t("pushTitle")),
      el("p", { class: "quiet" }, t(this.#isOn ? "pushIsOn" : "pushLead")),
      this.#problem === null ? null : el("p", { class: "error", role: "alert" }, t(this.#problem)),
      el("button", {
        id: "phone-push", class: "button wide", type: "button", "aria-pressed": String(this.#isOn),
        onclick: () => this.#do(() => (this.#isOn ? this.end() : this.#on())),
      }, t(this.#isOn ? "pushEnd" : "pushBegin")));
  }

  async #do(work) {
    if (this.#isBusy) return;
    this.#isBusy = true;
    this.#problem = null;
    try {
      await work();
    } catch (problem) {
      this.#problem = problem.text ?? "pushFailed";
    }
    this.#isBusy = false;
    this.#show();
  }

  async #on() {
    // Asked for first: a browser lets a page ask only right after a press.
    if ((await Notification.requestPermission()) !== "granted") throw refusal("pushDenied");
    const { key } = await (await this.#ask("GET", "/v1/push")).json();
    const { pushManager } = await registered();
    const before = await pushManager.getSubscription();
    // One that was made with another key is of no use any more.
    if (before !== null && textOf(before.options.applicationServerKey) !== key) await before.unsubscribe();
    const made = await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
    const { endpoint, keys } = made.toJSON();
    const body = { endpoint, p256dh: keys.p256dh, auth: keys.auth, language: language() };
    await Promise.all(this.#stores.map((store) => this.#ask("PUT", pathOf(store, this.#device), body)));
    ofBrowser.write(WISH, "on");
    this.#isOn = true;
  }

  async #ask(method, path, body) {
    const answer = await fetch(path, {
      ...{ method, cache: "no-store", credentials: "omit", keepalive: true, signal: AbortSignal.timeout(ANSWER_MS) },
      headers: { authorization: `Bearer ${this.#token()}`, ...(body && { "content-type": "application/json" }) },
      body: body && JSON.stringify(body),
    });
    if (!answer.ok) throw refusal(answer.status === 403 ? "pushNone" : "pushFailed");
    return answer;
  }
}

const pathOf = (store, device) => `/v1/stores/${encodeURIComponent(store)}/pushes/${encodeURIComponent(device)}`;

const refusal = (text) => Object.assign(new Error(text), { text });

/** The page's worker, which shows the notifications; it may take a while at the first start. */
function registered() {
  const late = new Promise((_, reject) => setTimeout(reject, ANSWER_MS, refusal("pushFailed")));
  return Promise.race([navigator.serviceWorker.ready, late]);
}

/** Bytes in base64url. */
function textOf(buffer) {
  const text = btoa(String.fromCharCode(...new Uint8Array(buffer)));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
