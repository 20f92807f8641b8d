// What fingers, pens and mice do on the page: which press counts, and when cards may move.

import { SETTLE_MS, Stillness } from "./stillness.js";

/** Where a second tap does harm; buttons elsewhere may be pressed twice. */
const GUARDED = ".card, .undo, .kitchen, dialog:not(#renew)";
const REPEATED = "[data-repeats]";

const now = () => performance.now();

/** Watches the whole page, because dialogs and other tools must ignore a second tap, too. */
export class Touch {
  #still = new Stillness();
  #movedAt = new WeakMap();
  #settledAt = 0;
  #timer = null;
  #root;
  #free = () => {};

  /**
   * @param root the board's element; its attribute data-held says that cards do not move, or have just moved
   * @param signal an AbortSignal that ends it
   */
  constructor(root, signal) {
    this.#root = root;
    const options = { signal, capture: true };
    addEventListener("pointerdown", (event) => this.#down(event), { ...options, passive: true });
    for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => this.#up(), options);
    addEventListener("click", (event) => this.#click(event), options);
    signal.addEventListener("abort", () => clearTimeout(this.#timer));
  }

  /** Calls `free` whenever cards may move again. */
  onFree(free) {
    this.#free = free;
  }

  /** Whether no card may move now. */
  get held() {
    return now() < this.#still.freeAt;
  }

  /** Notes a press of a key on the order; returns whether it counts. */
  key(id) {
    const counts = this.#still.press({ at: now(), id });
    this.#wait();
    return counts;
  }

  /** Notes that these elements have moved. */
  moved(elements) {
    const at = now();
    for (const element of elements) this.#movedAt.set(element, at);
    if (elements.length > 0) this.#settledAt = at + SETTLE_MS;
    this.#wait();
  }

  #down({ target }) {
    if (target.closest?.("input, textarea")) return;
    this.#still.down(now());
    this.#wait();
  }

  #up() {
    this.#still.up(now());
    this.#wait();
  }

  #click(event) {
    const pressed = event.target.closest?.("button");
    // A click without a pointer is a key's. It acts on the focused element, wherever that is.
    if (!pressed || event.detail === 0) return;
    const own = pressed.closest(".card, .undo");
    const place = { x: event.clientX, y: event.clientY };
    const movedAt = this.#movedAt.get(own);
    const counts = this.#still.press({ at: now(), place, id: own?.dataset.press ?? null, movedAt });
    this.#wait();
    if (counts || !pressed.closest(GUARDED) || pressed.closest(REPEATED)) return;
    event.stopImmediatePropagation();
    event.preventDefault();
  }

  #wait() {
    clearTimeout(this.#timer);
    const { freeAt } = this.#still;
    const at = now();
    this.#root.toggleAttribute("data-held", at < Math.max(freeAt, this.#settledAt));
    if (at < freeAt) this.#timer = setTimeout(() => this.#freed(), freeAt - at + 1);
    else if (at < this.#settledAt) this.#timer = setTimeout(() => this.#wait(), this.#settledAt - at + 1);
  }

  #freed() {
    if (this.held) {
      this.#wait();
      return;
    }
    this.#free();
    this.#wait();
  }
}
