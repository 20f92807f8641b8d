// When the alarm sounds, and what. Pure: time is passed in, in milliseconds.
//
// It does not give up: what nobody has touched sounds again and again. However many orders come
// together, it is one sound; what matters most comes first.

/**
 * What there is to hear, the most urgent first; `every`: so long until it sounds again.
 *
 * cancelled, changed: an order that is being made, until somebody has seen that. new: an order that
 * nobody has touched. offline: what is new cannot be known. session: the sign-in is about to end.
 */
export const KINDS = {
  cancelled: { every: 5_000 },
  changed: { every: 5_000 },
  new: { every: 5_000 },
  offline: { every: 20_000 },
  session: { every: 60_000 },
};
/** No two sounds are closer together. */
const APART_MS = 1_800;
/** A new order that somebody touched and nobody accepted sounds again after so long. */
const AGAIN_MS = 60_000;
/** How long the alarm is quiet when somebody asks for it. */
export const QUIET_MS = 60_000;

/** What sounds when. */
export class Alarm {
  #quietUntil = -Infinity;
  #soundedAt = -Infinity;
  #last = new Map();
  #touched = new Map();

  /** Somebody touched the order: it need not sound for a while. */
  touch(id, at) {
    this.#touched.set(id, at);
  }

  /** Quiet for a while, or no longer. */
  hush(isQuiet, at) {
    this.#quietUntil = isQuiet ? at + QUIET_MS : -Infinity;
  }

  /** For how long it still is quiet; 0: it is not. */
  quietFor(at) {
    return Math.max(0, this.#quietUntil - at);
  }

  /** Of the orders (their ids) those that nobody has touched lately; it forgets all others. */
  untouched(ids, at) {
    const all = new Set(ids);
    for (const id of [...this.#touched.keys()]) if (!all.has(id)) this.#touched.delete(id);
    return ids.filter((id) => at - (this.#touched.get(id) ?? -Infinity) >= AGAIN_MS);
  }

  /**
   * The kind that sounds now, or null.
   *
   * @param waiting by kind, whether there is something to hear of
   */
  next(waiting, at) {
    // What begins anew sounds at once, however lately it sounded before.
    for (const kind of [...this.#last.keys()]) if (!waiting[kind]) this.#last.delete(kind);
    if (at < this.#quietUntil || at - this.#soundedAt < APART_MS) return null;
    const isDue = (kind) => waiting[kind] && at - (this.#last.get(kind) ?? -Infinity) >= KINDS[kind].every;
    const due = Object.keys(KINDS).filter(isDue);
    // Of those that are due the one that has waited longest, so that none keeps another from being heard.
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
