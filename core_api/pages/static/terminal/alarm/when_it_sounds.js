// When the alarm sounds, and which sound. Pure: times are passed in, in milliseconds.
//
// It does not give up: while nobody touches an order, it sounds again and again. Orders that arrive together make one
// sound. Of several kinds the most urgent sounds first.

/**
 * The kinds of alarm, the most urgent first; `every`: how many milliseconds pass before it sounds again.
 *
 * cancelled, changed: an order that is being made, until somebody has seen the change. new: an order that nobody has
 * touched. offline: new orders may be missing. session: the sign-in ends soon.
 */
export const KINDS = {
  cancelled: { every: 5_000 },
  changed: { every: 5_000 },
  new: { every: 5_000 },
  offline: { every: 20_000 },
  session: { every: 60_000 },
};
/** Two sounds are at least this far apart. */
const APART_MS = 1_800;
/** A new order that was touched but not accepted sounds again after this time. */
const AGAIN_MS = 60_000;
/** How long the alarm is quiet when somebody asks for it. */
export const QUIET_MS = 60_000;

/** Decides which kind sounds when. */
export class Alarm {
  #quietUntil = -Infinity;
  #soundedAt = -Infinity;
  #last = new Map();
  #touched = new Map();

  /**
   * Somebody has touched the order: it need not sound for a while.
   *
   * @param id the order's id
   * @param at the present time
   */
  touch(id, at) {
    this.#touched.set(id, at);
  }

  /**
   * Makes the alarm quiet for a while, or ends that.
   *
   * @param isQuiet whether it is to be quiet
   * @param at the present time
   */
  hush(isQuiet, at) {
    this.#quietUntil = isQuiet ? at + QUIET_MS : -Infinity;
  }

  /** How long it will still be quiet, in milliseconds; 0: it is not. */
  quietFor(at) {
    return Math.max(0, this.#quietUntil - at);
  }

  /**
   * Which new orders nobody has touched lately. What is known of all other orders is forgotten.
   *
   * @param ids the ids of all orders that nobody has accepted
   * @param at the present time
   * @returns some of these ids
   */
  untouched(ids, at) {
    const all = new Set(ids);
    for (const id of [...this.#touched.keys()]) if (!all.has(id)) this.#touched.delete(id);
    return ids.filter((id) => at - (this.#touched.get(id) ?? -Infinity) >= AGAIN_MS);
  }

  /**
   * Decides which kind sounds now, and notes that it does.
   *
   * @param waiting by kind, whether there is a reason to sound
   * @param at the present time
   * @returns a name of KINDS, or null
   */
  next(waiting, at) {
    // A reason that is new sounds at once, even if its kind has sounded only a moment ago.
    for (const kind of [...this.#last.keys()]) if (!waiting[kind]) this.#last.delete(kind);
    if (at < this.#quietUntil || at - this.#soundedAt < APART_MS) return null;
    const isDue = (kind) => waiting[kind] && at - (this.#last.get(kind) ?? -Infinity) >= KINDS[kind].every;
    const due = Object.keys(KINDS).filter(isDue);
    // Of the kinds that are due, the one that has waited longest, so that none keeps another from being heard.
    const kind = due.reduce((one, other) => (this.#since(other) < this.#since(one) ? other : one), due[0]);
    if (kind === undefined) return null;
    this.#last.set(kind, at);
    this.#soundedAt = at;
    return kind;
  }

  #since(kind) {
    return this.#last.get(kind) ?? -Infinity;
  }
}
