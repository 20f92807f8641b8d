// The token that a page works with, whether Core still takes it, and when it ends. Pure.

/** Before its end a token's holder is warned, so early in milliseconds; and once more. */
const SOON_MS = 10 * 60_000;
const LAST_MS = 60_000;

/** One holder's token, and the next one in its place. */
export class Credentials {
  #session;
  #refused = false;
  #listeners = [];

  /** @param session as readToken gives it */
  constructor(session) {
    this.#session = session;
  }

  get session() {
    return this.#session;
  }

  /** Whether Core has refused the token; then nothing is sent until there is another. */
  get refused() {
    return this.#refused;
  }

  /**
   * The token, for a Transport.
   *
   * @throws Error Core has refused it: asking again with it would be of no use
   */
  give() {
    if (this.#refused) throw new Error("sign in again");
    return this.#session.token;
  }

  /** Core has refused this token; one that was replaced meanwhile says nothing. */
  refuse(token) {
    if (this.#refused || token !== this.#session.token) return;
    this.#refused = true;
    this.#tell();
  }

  /** Goes on with a later token of the same holder. */
  renew(session) {
    this.#session = session;
    this.#refused = false;
    this.#tell();
  }

  /** Calls `listener` when the token was refused or replaced. */
  onChange(listener) {
    this.#listeners.push(listener);
  }

  #tell() {
    for (const listener of this.#listeners) listener();
  }
}

/**
 * What to tell the holder: soon, last or ended; null: nothing.
 *
 * @param expiresAt in milliseconds since 1970
 * @param now Core's time in the same, or null while it is not known
 * @param refused whether Core refuses the token already
 */
export function noticeOf({ expiresAt, now, refused }) {
  if (refused) return "ended";
  if (now === null) return null;
  const left = expiresAt - now;
  if (left <= 0) return "ended";
  if (left <= LAST_MS) return "last";
  return left <= SOON_MS ? "soon" : null;
}
