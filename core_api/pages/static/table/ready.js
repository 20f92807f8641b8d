// Tells a guest who looks elsewhere that an order is ready: by sound, by shaking, by a notification; on a
// locked phone by a push.

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

/** Sound needs that the guest has touched the page, a notification that they asked for it. */
export class ReadyNotice {
  #context = null;
  #registration = null;
  #locked;

  /** @param token () → the guest's token */
  constructor(token) {
    this.#locked = new LockedPhone(token);
  }

  /** Listens for the first touch, after which a browser lets a page sound. */
  start() {
    const allow = () => {
      this.#context ??= new AudioContext();
      if (this.#context.state !== "running") this.#context.resume();
    };
    addEventListener("click", allow);
    addEventListener("keydown", allow);
    if (this.isOn) this.#register();
  }

  /** Whether this browser has notifications at all. */
  get isPossible() {
    return "Notification" in globalThis && "serviceWorker" in navigator && Notification.permission !== "denied";
  }

  get isOn() {
    return this.isPossible && Notification.permission === "granted" && ofBrowser.read(KEY) === "on";
  }

  /** Turns notifications on or off; the browser asks the guest at the first time. */
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

  /** The guest goes on with another token, or in another language: Core tells the phone by that. */
  again() {
    if (this.isOn) this.#subscribe();
  }

  /** Tells: the sound and the shake always, the notification if it was asked for. */
  async tell({ title, body, tag }) {
    this.#chime();
    navigator.vibrate?.(SHAKE_MS);
    if (!this.isOn) return;
    const registration = await this.#registration;
    await registration?.showNotification(title, { body, tag, icon: "/static/shared/icon.svg" });
  }

  /** On a phone only a service worker may show a notification. */
  #register() {
    this.#registration ??= startWorker(WORKER);
    this.#subscribe();
    return this.#registration;
  }

  async #subscribe() {
    // Without it, as where Core has no key, the open page tells all the same.
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
