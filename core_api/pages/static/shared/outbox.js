// Sends a command until Core answers it for good: a lost answer, a fault or a full server is tried
// again with the same key, so that what was done once is not done twice.

const FIRST_WAIT_MS = 400;
const MOST_WAIT_MS = 8_000;
const PASSING = new Set([408, 425, 429]);

/** Commands under way. */
export class Outbox {
  #send;
  #wakers = new Set();
  #closed = false;

  /** @param send (path, body, {key, version}) → Core's answer; throws when there is none */
  constructor(send) {
    this.#send = send;
  }

  /** Core's final answer, or null once closed; `tried` is called after each try without one. */
  async deliver(path, body, options, tried) {
    for (let tries = 1; !this.#closed; tries++) {
      const answer = await this.#try(path, body, options);
      if (this.#closed) return null;
      if (answer !== null) return answer;
      tried();
      await this.#pause(tries);
    }
    return null;
  }

  /** The network is back: what waits need not. */
  wake() {
    for (const waker of [...this.#wakers]) waker();
  }

  close() {
    this.#closed = true;
    this.wake();
  }

  async #try(path, body, options) {
    try {
      const answer = await this.#send(path, body, options);
      return answer.ok || isFinal(answer) ? answer : null;
    } catch {
      return null;
    }
  }

  #pause(tries) {
    const most = Math.min(FIRST_WAIT_MS * 2 ** (tries - 1), MOST_WAIT_MS);
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#wakers.delete(done);
        resolve();
      };
      const timer = setTimeout(done, most * (0.5 + Math.random() / 2));
      this.#wakers.add(done);
    });
  }
}

// A refusal without one of our problems is a proxy's, as during an installation: it passes.
function isFinal({ status, problem }) {
  const refused = status >= 400 && status < 500 && !PASSING.has(status);
  return refused && problem !== null && problem !== "conflict";
}

/** A key that nobody else uses. crypto.randomUUID is missing over plain HTTP. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Where what is not sent yet survives a reload: this tab's own storage, so that no other sends it. */
export function unsent(key) {
  return {
    load: () => {
      try {
        return JSON.parse(sessionStorage.getItem(key)) ?? [];
      } catch {
        return [];
      }
    },
    save: (commands) => sessionStorage.setItem(key, JSON.stringify(commands)),
  };
}
