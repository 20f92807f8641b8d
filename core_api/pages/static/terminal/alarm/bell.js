// The alarm at work: in which tab it sounds, how loud, and what the tabs tell each other of it.
//
// Browsers let a page sound only after somebody touched it; until then `blocked` is true and the
// page says so. Of several tabs the one that may sound and holds the lock rings for all.

import { ofBrowser } from "../../shared/storage.js";
import { Alarm } from "./rules.js";
import { sound } from "./sound.js";

const KEY = "yabam.sound";
const VOLUME_KEY = "yabam.volume";
/** How loud it may be: the choices, and how much of the loudest each is. */
export const VOLUMES = { low: 0.12, middle: 0.35, high: 0.9 };

/** Rings. */
export class Bell {
  wanted = ofBrowser.read(KEY) !== "off";
  /** How often it rang here, by kind. */
  rung = {};
  #alarm = new Alarm();
  #context = null;
  #changed;
  #name;
  #tabs = null;
  #holds = false;
  #asked = false;

  /** @param name what the tabs share @param changed called when `wanted`, `blocked` or `volume` did */
  constructor(name, changed) {
    this.#name = name;
    this.#changed = changed;
  }

  /** Whether the browser keeps it from sounding. */
  get blocked() {
    return this.wanted && this.#context?.state !== "running";
  }

  /** A name of VOLUMES. */
  get volume() {
    const kept = ofBrowser.read(VOLUME_KEY);
    return Object.hasOwn(VOLUMES, kept ?? "") ? kept : "middle";
  }

  /** For how many milliseconds it still is quiet. */
  get quietFor() {
    return this.#alarm.quietFor(performance.now());
  }

  start() {
    this.#context = new AudioContext();
    this.#context.addEventListener("statechange", () => this.#told());
    this.#told();
    const allow = () => this.#allow();
    // Not the press itself: the hint goes with it, and what moves under a finger is not clicked.
    addEventListener("click", allow);
    addEventListener("keydown", allow);
    try {
      this.#tabs = new BroadcastChannel(`${this.#name}.alarm`);
      this.#tabs.onmessage = ({ data }) => this.#heard(data);
    } catch {
      // Each tab is told for itself.
    }
  }

  /** Turns the sound on or off; on rings once, so that one hears what to listen for. */
  async toggle() {
    const turnOn = !this.wanted || this.blocked;
    this.wanted = turnOn;
    ofBrowser.write(KEY, turnOn ? "on" : "off");
    if (turnOn) {
      await this.#context.resume();
      this.#sound("new");
    }
    this.#changed();
  }

  /** Takes another volume, and lets it be heard. */
  setVolume(name) {
    ofBrowser.write(VOLUME_KEY, name);
    this.listen("new");
    this.#changed();
  }

  /** Sounds once as that kind does, whatever is to be heard. */
  async listen(kind) {
    await this.#context.resume();
    this.#sound(kind);
  }

  /** Quiet for a minute, in all tabs; or no longer, if it is quiet. */
  hush() {
    const isQuiet = this.quietFor === 0;
    this.#heard({ hush: isQuiet });
    this.#tabs?.postMessage({ hush: isQuiet });
  }

  /** Somebody touched the order, in this tab. */
  touch(id) {
    this.#heard({ touched: id });
    this.#tabs?.postMessage({ touched: id });
  }

  /**
   * Rings if it is time, and if this tab is the one to do so.
   *
   * @param placed the ids of the orders that nobody has accepted yet
   * @param others by the other kinds of rules.js, whether there is something to hear of
   */
  ring(placed, others) {
    const at = performance.now();
    const waiting = { ...others, new: this.#alarm.untouched(placed, at).length > 0 };
    if (!this.wanted || this.blocked || !this.#holds) return;
    const kind = this.#alarm.next(waiting, at);
    if (kind !== null) this.#sound(kind);
  }

  close() {
    this.#tabs?.close();
    this.#context?.close();
  }

  /** @param {{touched?: string, hush?: boolean}} said */
  #heard({ touched, hush }) {
    const at = performance.now();
    if (touched !== undefined) this.#alarm.touch(touched, at);
    if (hush !== undefined) this.#alarm.hush(hush, at);
    this.#changed();
  }

  #allow() {
    if (this.wanted && this.#context.state === "suspended") this.#context.resume();
  }

  #told() {
    if (this.#context.state === "running") this.#hold();
    this.#changed();
  }

  #hold() {
    if (this.#asked) return;
    this.#asked = true;
    if (!navigator.locks) {
      this.#holds = true;
      return;
    }
    // Held until the tab goes; the browser then hands it to the next.
    const held = () => {
      this.#holds = true;
      return new Promise(() => {});
    };
    // A browser that forbids storage forbids locks too.
    navigator.locks.request(`${this.#name}.bell`, held).catch(() => (this.#holds = true));
  }

  #sound(kind) {
    this.rung[kind] = (this.rung[kind] ?? 0) + 1;
    sound(this.#context, kind, VOLUMES[this.volume]);
  }
}
