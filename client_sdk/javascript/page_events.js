// Events between the parts of a page, and between the tabs of one person. They never leave the browser.
//
// Use a document of `private` or `session` for data that must last or be known to a tab that is opened later.
// Events are for things that happen once: a sound was switched off, a row was chosen, somebody signed out.

const NAME = /^[A-Za-z0-9_.-]{1,64}$/;
/** The longest event as JSON, in UTF-16 units. */
export const MAX_PAGE_EVENT_CHARS = 65_536;

/** The events that the tabs of one name share. */
export class PageEvents {
  #name;
  #channel = /** @type {BroadcastChannel | null} */ (null);
  #closed = false;
  #callbacks = /** @type {Map<string, Set<{call: (detail: any, from: {own: boolean}) => void}>>} */ (new Map());

  /** @param {string} name the name that the tabs of one person share */
  constructor(name) {
    this.#name = `${name} page`;
  }

  /**
   * Notifies the subscribers in this tab before it returns, and those in the other tabs soon.
   *
   * @param {string} name 1 to 64 of A-Z a-z 0-9 _ . -
   * @param {import("./types.js").Json} [detail] the event's data; each subscriber gets a copy
   * @throws {TypeError} the name is malformed, the detail is not JSON or too long, or the client is closed
   */
  publish(name, detail = null) {
    checkName(name);
    const text = JSON.stringify(detail);
    if (text === undefined) throw new TypeError("an event's detail must be JSON");
    if (text.length > MAX_PAGE_EVENT_CHARS) {
      throw new TypeError(`an event may have at most ${MAX_PAGE_EVENT_CHARS} characters as JSON, this has ${text.length}`);
    }
    if (this.#closed) throw new TypeError("the client is closed");
    this.#open()?.postMessage({ name, text });
    this.#tell(name, text, true);
  }

  /**
   * Calls `callback` with the detail of each event of this name. Returns the unsubscriber.
   *
   * @param {string} name 1 to 64 of A-Z a-z 0-9 _ . -
   * @param {(detail: any, from: {own: boolean}) => void} callback `own`: it was published in this tab
   * @returns {() => void}
   * @throws {TypeError} the name is malformed
   */
  subscribe(name, callback) {
    checkName(name);
    if (!this.#closed) this.#open();
    const observer = { call: callback };
    const observers = this.#callbacks.get(name) ?? new Set();
    this.#callbacks.set(name, observers.add(observer));
    return () => {
      observers.delete(observer);
      if (observers.size === 0 && this.#callbacks.get(name) === observers) this.#callbacks.delete(name);
    };
  }

  /** Stops receiving and sending events. */
  close() {
    this.#closed = true;
    this.#channel?.close();
    this.#channel = null;
    this.#callbacks.clear();
  }

  #open() {
    try {
      this.#channel ??= new BroadcastChannel(this.#name);
      this.#channel.onmessage = ({ data }) => this.#tell(data.name, data.text, false);
    } catch {
      // It is forbidden like storage, or not supported: then a page receives only its own events.
    }
    return this.#channel;
  }

  /**
   * @param {string} name
   * @param {string} text
   * @param {boolean} own
   */
  #tell(name, text, own) {
    for (const { call } of [...(this.#callbacks.get(name) ?? [])]) {
      try {
        call(JSON.parse(text), { own });
      } catch (error) {
        // An error in one subscriber must not keep the event from the others.
        globalThis.reportError?.(error);
      }
    }
  }
}

/** @param {string} name */
function checkName(name) {
  if (typeof name === "string" && NAME.test(name)) return;
  throw new TypeError("an event's name must be 1 to 64 of A-Z a-z 0-9 _ . -");
}
