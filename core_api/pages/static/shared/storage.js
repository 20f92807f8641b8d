// What the browser stores for a page. Where it stores nothing, the page's memory is used.
//
// Storage may be forbidden by a setting or in a frame: then the property throws or is null. It may also be full. The
// page works in these cases, too, but only until it is reloaded, and it says so.

const PROBE = "yabam.probe";

/** One storage of the browser, whose methods do not throw. */
class SafeStorage {
  #storage;
  #memory = new Map();

  /** @param open () → the storage; it may throw or return null */
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

  /** The text under this key, or null. */
  read(key) {
    return this.#memory.get(key) ?? this.#storage?.getItem(key) ?? null;
  }

  /**
   * Stores a text; only in memory if the browser has no room for it.
   *
   * @param key the text's key
   * @param text the text
   */
  write(key, text) {
    this.#memory.delete(key);
    try {
      if (this.#storage === null) this.#memory.set(key, text);
      else this.#storage.setItem(key, text);
    } catch {
      // Otherwise the older value would come back after a reload.
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

  /** The value that `writeJson` stored; null if there is none, or if it cannot be read. */
  readJson(key) {
    try {
      return JSON.parse(this.read(key));
    } catch {
      return null;
    }
  }

  /**
   * Stores a value as JSON.
   *
   * @param key its key
   * @param value what JSON can hold
   */
  writeJson(key, value) {
    this.write(key, JSON.stringify(value));
  }
}

/** The storage of this tab alone, which survives a reload. */
export const ofTab = new SafeStorage(() => sessionStorage);
/** The storage of all tabs of this browser, which survives their closing. */
export const ofBrowser = new SafeStorage(() => localStorage);
/** Whether a reload loses what this page has stored. */
export const losesData = !ofTab.keeps || !ofBrowser.keeps;
