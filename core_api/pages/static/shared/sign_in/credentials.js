// The token that a page uses: whether Core has refused it, and when it expires. Pure.

/** The person is warned this many milliseconds before the token expires, and once more at LAST_MS. */
const SOON_MS = 10 * 60_000;
const LAST_MS = 60_000;

/** A person's token, until the next one replaces it. */
export class Credentials {
  #session;
  #refused = false;
  #listeners = [];

  /** @param session as readToken returns it */
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
   * @throws Error Core has refused the token, so it must not be used again
   */
  give() {
    if (this.#refused) throw new Error("sign in again");
    return this.#session.token;
  }

  /** Notes that Core has refused this token. A token that has been replaced since is ignored. */
  refuse(token) {
    if (this.#refused || token !== this.#session.token) return;
    this.#refused = true;
    this.#tell();
  }

  /** Replaces the token by a later one of the same person; `session` as readToken returns it. */
  renew(session) {
    this.#session = session;
    this.#refused = false;
    this.#tell();
  }

  /** Calls `listener` whenever the token was refused or replaced. */
  onChange(listener) {
    this.#listeners.push(listener);
  }

  #tell() {
    for (const listener of this.#listeners) listener();
  }
}

/**
 * What the person is warned of.
 *
 * @param expiresAt when the token expires, in milliseconds since 1970
 * @param now Core's time in milliseconds since 1970; null: not known yet
 * @param refused whether Core has refused the token
 * @returns "soon", "last" or "ended"; null: there is nothing to warn of
 */
export function noticeOf({ expiresAt, now, refused }) {
  if (refused) return "ended";
  if (now === null) return null;
  const left = expiresAt - now;
  if (left <= 0) return "ended";
  if (left <= LAST_MS) return "last";
  return left <= SOON_MS ? "soon" : null;
}
