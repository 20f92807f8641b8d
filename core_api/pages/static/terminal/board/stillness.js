// When cards may move, and which press counts: a second tap never hits another order. Pure.
//
// A person who taps twice means one thing. So for a while after a press nothing moves under the finger, the same
// place acts only once, and what has just moved cannot be pressed.

/** For this time after a press nothing moves, and the same place or the same order does not act again. */
export const STILL_MS = 600;
/** For this time what has moved cannot be pressed: nobody can have meant it there. */
export const SETTLE_MS = 400;
/** A finger holds the board no longer than this, because a browser may fail to report that it was taken off. */
const LONGEST_MS = 10_000;
/** Two taps that are no further apart are in the same place. */
const NEAR_PX = 48;

/** What is known of presses. Times are in milliseconds, of any clock that only goes forward. */
export class Stillness {
  #presses = [];
  #downAt = null;
  #until = 0;

  /** A finger was put on the screen. */
  down(at) {
    this.#downAt ??= at;
    this.#until = Math.max(this.#until, at + STILL_MS);
  }

  /** The finger was taken off. */
  up(at) {
    this.#downAt = null;
    this.#until = Math.max(this.#until, at + STILL_MS);
  }

  /** From when on cards may move, if nothing is pressed and no finger is taken off before. */
  get freeAt() {
    return this.#downAt === null ? this.#until : Math.max(this.#until, this.#downAt + LONGEST_MS);
  }

  /**
   * Notes a press.
   *
   * @param at when it was made
   * @param place where, as {x, y} in pixels; null: it was made by a key
   * @param id the id of the order that was pressed, or null
   * @param movedAt when the pressed element last moved; -Infinity: it has not
   * @returns whether the press counts
   */
  press({ at, place = null, id = null, movedAt = -Infinity }) {
    this.#presses = this.#presses.filter((press) => at - press.at < STILL_MS);
    const isAgain = this.#presses.some(
      (press) => (id !== null && press.id === id) || isNear(press.place, place),
    );
    // Taps in quick succession are one press, however many there are.
    this.#presses.push({ at, place, id });
    this.#until = Math.max(this.#until, at + STILL_MS);
    return !isAgain && at - movedAt >= SETTLE_MS;
  }
}

function isNear(one, other) {
  if (one === null || other === null) return false;
  return Math.hypot(one.x - other.x, one.y - other.y) <= NEAR_PX;
}
