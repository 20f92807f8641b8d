// Tells a guest who is not looking at the page that an order is ready: by sound, by vibration and by a notification;
// on a locked phone by a push.

import { ofBrowser } from "../shared/storage.js";
import { startWorker } from "../shared/worker.js";
import { LockedPhone } from "./locked_phone.js";

const KEY = "yabam.guest.notices";
const WORKER = "/static/table/notices_worker.js";
const NOTES = [
  [784, 0],
  [1046.5, 0.18],
];
const LONGEST_S = 0.9;
const SHAKE_MS = [200, 100, 200];

/** Browsers allow sound only after the guest has touched the page, and notifications only after they have agreed. */
export class ReadyNotice {
  #context = null;
  #registration = null;
  #locked;

  /** @param token () → the guest's bearer token */
  constructor(token) {
    this.#locked = new LockedPhone(token);
  }

  /** Waits for the guest's first touch, after which browsers let a page sound. */
  start() {
    const allow = () => {
      this.#context ??= new AudioContext();
      if (this.#context.state !== "running") this.#context.resume();
    };
    addEventListener("click", allow);
    addEventListener("keydown", allow);
    if (this.isOn) this.#register();
  }

  /** Whether this browser has notifications, and the guest has not forbidden them. */
  get isPossible() {
    return "Notification" in globalThis && "serviceWorker" in navigator && Notification.permission !== "denied";
  }

  get isOn() {
    return this.isPossible && Notification.permission === "granted" && ofBrowser.read(KEY) === "on";
  }

  /** Turns notifications on or off. The first time, the browser asks the guest. */
  async toggle() {
    if (this.isOn) {
      ofBrowser.write(KEY, "off");
      await this.#locked.end();
      return;
    }
    if ((await Notification.requestPermission()) !== "granted") return;
    ofBrowser.write(KEY, "on");
    await this.#register();
  }

  /** Subscribes again after a change of the token or of the language, because Core pushes by these. */
  again() {
    if (this.isOn) this.#subscribe();
  }

  /**
   * Notifies the guest: always by sound and vibration, and by a notification if that is turned on.
   *
   * @param notice `title` and `body`: its texts; `tag`: the notification replaces an earlier one with the same tag
   */
  async tell({ title, body, tag }) {
    this.#chime();
    navigator.vibrate?.(SHAKE_MS);
    if (!this.isOn) return;
    const registration = await this.#registration;
    await registration?.showNotification(title, { body, tag, icon: "/static/shared/icon.svg" });
  }

  /** Registers the worker: on a phone only a service worker may show a notification. */
  #register() {
    this.#registration ??= startWorker(WORKER);
    this.#subscribe();
    return this.#registration;
  }

  async #subscribe() {
    // Without a subscription, as where Core has no key, the open page still notifies.
    await this.#locked.begin(await this.#registration).catch(() => {});
  }

  #chime() {
    const context = this.#context;
    if (context?.state !== "running") return;
    for (const [frequency, after] of NOTES) {
      const start = context.currentTime + after;
      const tone = new OscillatorNode(context, { type: "sine", frequency });
      const volume = new GainNode(context, { gain: 0 });
      volume.gain.setValueAtTime(0, start);
      volume.gain.linearRampToValueAtTime(0.4, start + 0.02);
      volume.gain.exponentialRampToValueAtTime(0.001, start + LONGEST_S);
      tone.connect(volume).connect(context.destination);
      tone.start(start);
      tone.stop(start + LONGEST_S);
    }
  }
}
