// The sync under way, and the open stream. Pure.
//
// As client_sdk/machine/tracks.py, less Pressure: here the book takes each change at once.

export const NEVER = Infinity;

/** The sync under way, if there is one, and when the next is due. All times are monotonic seconds. */
export class SyncTrack {
  generation = 0;
  active = false;
  newToken = false;
  wait = 0;
  beganAt = 0;
  deadline = NEVER;
  dueAt = NEVER;

  /**
   * Begins a new sync; answers to older ones are stale from now on.
   *
   * @param now monotonic seconds
   * @param timeout how long the answer may take, in seconds
   */
  begin(now, timeout) {
    this.generation += 1;
    Object.assign(this, { active: true, beganAt: now, deadline: now + timeout, dueAt: NEVER });
  }

  end() {
    Object.assign(this, { active: false, deadline: NEVER });
  }

  /** Whether an answer of this generation counts. */
  isCurrent(generation) {
    return this.active && generation === this.generation;
  }
}

/** The stream that is open, if there is one. All times are monotonic seconds. */
export class StreamTrack {
  generation = 0;
  open = false;
  via = /** @type {import("../contract/contract_lists.js").Via} */ ("sse");
  helloAt = /** @type {number | null} */ (null);
  beganAt = 0;
  /** Those that were new; what comes twice proves nothing. */
  events = 0;
  deadline = NEVER;

  /**
   * Begins a new stream; it must say hello in time.
   *
   * @param now monotonic seconds
   * @param timeout how long it may take to say hello, in seconds
   * @param via what carries it, a Via
   */
  begin(now, timeout, via) {
    this.generation += 1;
    const deadline = now + timeout;
    Object.assign(this, { open: true, via, helloAt: null, beganAt: now, events: 0, deadline });
  }

  end() {
    Object.assign(this, { open: false, helloAt: null, deadline: NEVER });
  }

  /** Whether what comes from this generation counts. */
  isCurrent(generation) {
    return this.open && generation === this.generation;
  }

  /**
   * Whether it brought nothing for so short a time that it counts as failed.
   *
   * @param now monotonic seconds
   * @param least how long a sound one lasts at least, in seconds
   */
  wasTooShort(now, least) {
    return this.helloAt === null || (now - this.beganAt < least && this.events === 0);
  }
}
