// The alarm's sound: in which tab it sounds, how loud it is, and what the tabs tell each other about it.
//
// Browsers let a page sound only after somebody has touched it. Until then `blocked` is true, and the page says so.
// Of several tabs, one that can sound holds a lock, and rings for all.

import { ofBrowser } from "../../shared/storage.js";
import { Alarm } from "./when_it_sounds.js";
import { sound } from "./sound.js";

const KEY = "yabam.sound";
const VOLUME_KEY = "yabam.volume";
/** The volumes that can be chosen, from 0 to 1. */
export const VOLUMES = { low: 0.12, middle: 0.35, high: 0.9 };

/** Rings the alarm. */
export class Bell {
  wanted = ofBrowser.read(KEY) !== "off";
  /** How often it rang in this tab, by kind. */
  rung = {};
  #alarm = new Alarm();
  #context = null;
  #changed;
  #name;
  #tabs = null;
  #hasLock = false;
  #hasAskedForLock = false;

  /**
   * @param name the name that the tabs share
   * @param changed called when `wanted`, `blocked` or `volume` has changed
   */
  constructor(name, changed) {
    this.#name = name;
    this.#changed = changed;
  }

  /** Whether the browser does not let the page sound. */
  get blocked() {
    return this.wanted && this.#context?.state !== "running";
  }

  /** The chosen volume: a name of VOLUMES. */
  get volume() {
    const kept = ofBrowser.read(VOLUME_KEY);
    return Object.hasOwn(VOLUMES, kept ?? "") ? kept : "middle";
  }

  /** How many milliseconds it will still be quiet. */
  get quietFor() {
    return this.#alarm.quietFor(performance.now());
  }

  start() {
    this.#context = new AudioContext();
    this.#context.addEventListener("statechange", () => this.#stateChanged());
    this.#stateChanged();
    const allow = () => this.#allow();
    // On the click, not before: the hint then disappears, and the browser sends no click to an element that has
    // moved.
    addEventListener("click", allow);
    addEventListener("keydown", allow);
    try {
      this.#tabs = new BroadcastChannel(`${this.#name}.alarm`);
      this.#tabs.onmessage = ({ data }) => this.#receive(data);
    } catch {
      // Without this channel a tab does not know what was touched in another tab.
    }
  }

  /** Turns the sound on or off. Turning it on rings once, so that people know what to listen for. */
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

  /** Changes the volume, and lets it be heard. */
  setVolume(name) {
    ofBrowser.write(VOLUME_KEY, name);
    this.listen("new");
    this.#changed();
  }

  /** Sounds once as this kind does, whether or not there is a reason. */
  async listen(kind) {
    await this.#context.resume();
    this.#sound(kind);
  }

  /** Makes the alarm quiet for a minute, in all tabs; ends that if it is quiet. */
  hush() {
    const isQuiet = this.quietFor === 0;
    this.#receive({ hush: isQuiet });
    this.#tabs?.postMessage({ hush: isQuiet });
  }

  /** Notes, in all tabs, that somebody has touched the order. */
  touch(id) {
    this.#receive({ touched: id });
    this.#tabs?.postMessage({ touched: id });
  }

  /**
   * Rings if it is due, and if this tab is the one that rings.
   *
   * @param placed the ids of the orders that nobody has accepted yet
   * @param others by each other kind of when_it_sounds.js, whether there is a reason to ring
   */
  ring(placed, others) {
    const at = performance.now();
    const waiting = { ...others, new: this.#alarm.untouched(placed, at).length > 0 };
    if (!this.wanted || this.blocked || !this.#hasLock) return;
    const kind = this.#alarm.next(waiting, at);
    if (kind !== null) this.#sound(kind);
  }

  close() {
    this.#tabs?.close();
    this.#context?.close();
  }

  /** @param {{touched?: string, hush?: boolean}} said */
  #receive({ touched, hush }) {
    const at = performance.now();
    if (touched !== undefined) this.#alarm.touch(touched, at);
    if (hush !== undefined) this.#alarm.hush(hush, at);
    this.#changed();
  }

  #allow() {
    if (this.wanted && this.#context.state === "suspended") this.#context.resume();
  }

  #stateChanged() {
    if (this.#context.state === "running") this.#askForLock();
    this.#changed();
  }

  #askForLock() {
    if (this.#hasAskedForLock) return;
    this.#hasAskedForLock = true;
    if (!navigator.locks) {
      this.#hasLock = true;
      return;
    }
    // The lock is held until the tab is closed; then the browser gives it to the next tab.
    const held = () => {
      this.#hasLock = true;
      return new Promise(() => {});
    };
    // A browser that forbids storage forbids locks, too.
    navigator.locks.request(`${this.#name}.bell`, held).catch(() => (this.#hasLock = true));
  }

  #sound(kind) {
    this.rung[kind] = (this.rung[kind] ?? 0) + 1;
    sound(this.#context, kind, VOLUMES[this.volume]);
  }
}
