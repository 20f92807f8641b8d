// What the browser keeps for a page; the page's own memory where the browser keeps nothing.
//
// Storage may be forbidden by a setting or a frame: then the mere property throws or is null. It may
// also be full. A page works all the same, until it is reloaded, and says so.

const PROBE = "yabam.probe";

/** One storage of the browser, which never throws. */
class Drawer {
  #storage;
  #memory = new Map();

  /** @param open () → the storage; it may throw, or give null */
  constructor(open) {
    try {
      this.#storage = open() ?? null;
      this.#storage?.getItem(PROBE);
    } catch {
      this.#storage = null;
    }
  }

  /** Whether what is written here survives a reload. */
  get keeps() {
    return this.#storage !== null;
  }

  /** The text under `key`, or null. */
  read(key) {
    return this.#memory.get(key) ?? this.#storage?.getItem(key) ?? null;
  }

  /** Keeps the text, in memory only if there is no room for it. */
  write(key, text) {
    this.#memory.delete(key);
    try {
      if (this.#storage === null) this.#memory.set(key, text);
      else this.#storage.setItem(key, text);
    } catch {
      // An older value must not come back after a reload.
      this.#storage.removeItem(key);
      this.#memory.set(key, text);
    }
  }

  remove(key) {
    this.#memory.delete(key);
    this.#storage?.removeItem(key);
  }

  get keys() {
    return [...this.#memory.keys(), ...Object.keys(this.#storage ?? {})];
  }

  /** The value that `writeJson` wrote; null where there is nothing whole. */
  readJson(key) {
    try {
      return JSON.parse(this.read(key));
    } catch {
      return null;
    }
  }

  writeJson(key, value) {
    this.write(key, JSON.stringify(value));
  }
}

/** What this tab keeps, over a reload, for itself. */
export const ofTab = new Drawer(() => sessionStorage);
/** What this browser keeps, for all its tabs, beyond their end. */
export const ofBrowser = new Drawer(() => localStorage);
/** Whether a reload loses what this page knows. */
export const keepsNothing = !ofTab.keeps || !ofBrowser.keeps;
