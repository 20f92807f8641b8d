// When the board may move, and which press counts: a second tap never meets another order. Pure.
//
// A finger that taps twice means one thing. So for a while after a press nothing else comes to stand
// under it, the same place acts once, and what has only just moved is not pressed.

/** So long after a press nothing moves, and the same place or order does not act again. */
export const STILL_MS = 600;
/** So long what has moved is not pressed: nobody can have meant it. */
export const SETTLE_MS = 400;
/** A finger that never leaves, as one whose end the browser did not tell, holds the board no longer. */
const LONGEST_MS = 10_000;
/** Two taps no further apart than this are in the same place. */
const NEAR_PX = 48;

/** What is known of presses; times in milliseconds, of any clock that only goes forward. */
export class Stillness {
  #presses = [];
  #downAt = null;
  #until = 0;

  /** A finger is put on the screen. */
  down(at) {
    this.#downAt ??= at;
    this.#until = Math.max(this.#until, at + STILL_MS);
  }

  /** It is taken off again. */
  up(at) {
    this.#downAt = null;
    this.#until = Math.max(this.#until, at + STILL_MS);
  }

  /** When the board may move, if nothing else is pressed and no finger is taken off until then. */
  get freeAt() {
    return this.#downAt === null ? this.#until : Math.max(this.#until, this.#downAt + LONGEST_MS);
  }

  /**
   * Whether a press counts.
   *
   * @param at now
   * @param place has {x, y} in pixels; null: by a key
   * @param id the order that is pressed, or null
   * @param movedAt when what is pressed came to stand there; -Infinity: it stands for long
   */
  press({ at, place = null, id = null, movedAt = -Infinity }) {
    this.#presses = this.#presses.filter((press) => at - press.at < STILL_MS);
    const isAgain = this.#presses.some(
      (press) => (id !== null && press.id === id) || isNear(press.place, place),
    );
    // A burst of taps is one press, however long it lasts.
    this.#presses.push({ at, place, id });
    this.#until = Math.max(this.#until, at + STILL_MS);
    return !isAgain && at - movedAt >= SETTLE_MS;
  }
}

function isNear(one, other) {
  if (one === null || other === null) return false;
  return Math.hypot(one.x - other.x, one.y - other.y) <= NEAR_PX;
}
