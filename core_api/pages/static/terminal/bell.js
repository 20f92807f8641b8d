// The chime of a new order, made by Web Audio: no file to load, nothing to fail.
//
// Browsers let a page sound only after somebody touched it; until then `blocked` is true and the
// page says so. Of several tabs the one that may sound and holds the lock rings for all.

import { ofBrowser } from "../shared/storage.js";

const KEY = "yabam.sound";
const NOTES = [
  [880, 0],
  [1174.7, 0.16],
  [1568, 0.32],
];
const LONGEST_S = 1.2;

/** Rings. @param changed called when `wanted` or `blocked` did. @param name what the tabs share. */
export class Bell {
  wanted = ofBrowser.read(KEY) !== "off";
  rung = 0;
  #context = null;
  #changed;
  #name;
  #holds = false;
  #asked = false;

  constructor(name, changed) {
    this.#name = name;
    this.#changed = changed;
  }

  /** Whether the browser keeps it from sounding. */
  get blocked() {
    return this.wanted && this.#context?.state !== "running";
  }

  start() {
    this.#context = new AudioContext();
    this.#context.addEventListener("statechange", () => this.#told());
    this.#told();
    const allow = () => this.#allow();
    // Not the press itself: the hint goes with it, and what moves under a finger is not clicked.
    addEventListener("click", allow);
    addEventListener("keydown", allow);
  }

  /** Turns the sound on or off; on rings once, so that one hears what to listen for. */
  async toggle() {
    const turnOn = !this.wanted || this.blocked;
    this.wanted = turnOn;
    ofBrowser.write(KEY, turnOn ? "on" : "off");
    if (turnOn) {
      await this.#context.resume();
      this.#chime();
    }
    this.#changed();
  }

  /** Rings, if this tab is the one to do so. */
  ring() {
    if (this.wanted && !this.blocked && this.#holds) this.#chime();
  }

  #allow() {
    if (this.wanted && this.#context.state !== "running") this.#context.resume();
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

  #chime() {
    this.rung += 1;
    const context = this.#context;
    for (const [frequency, after] of NOTES) {
      const start = context.currentTime + after;
      const tone = new OscillatorNode(context, { type: "triangle", frequency });
      const volume = new GainNode(context, { gain: 0 });
      volume.gain.setValueAtTime(0, start);
      volume.gain.linearRampToValueAtTime(0.5, start + 0.015);
      volume.gain.exponentialRampToValueAtTime(0.001, start + LONGEST_S);
      tone.connect(volume).connect(context.destination);
      tone.start(start);
      tone.stop(start + LONGEST_S);
    }
  }
}
