// Sends a command until Core answers it for good: a lost answer, a fault or a full server is tried
// again with the same key, so that what was done once is not done twice. What Core refuses because
// of the token waits for the next token.

import { Backoff } from "../yabam/machine/backoff.js";
import { ofBrowser, ofTab } from "./storage.js";
import { uniform } from "../yabam/uniform.js";

const WAITS_S = { backoffFirst: 0.4, backoffMost: 8 };
const PASSING = new Set([401, 408, 425, 429]);

/** Commands under way. */
export class Outbox {
  #send;
  #credentials;
  #wakers = new Set();
  #closed = false;

  /**
   * @param send (path, body, {key, version, updatedAt}) → Core's answer, with the token that it was sent with;
   *   throws when there is none
   * @param credentials the Credentials that are sent along
   */
  constructor(send, credentials) {
    this.#send = send;
    this.#credentials = credentials;
    credentials.onChange(() => this.wake());
  }

  /**
   * Core's final answer, or null once closed.
   *
   * `waits` is called whenever it has to wait: with "token" for the next token, else "network".
   */
  async deliver(path, body, options, waits) {
    const backoff = new Backoff(WAITS_S, uniform);
    while (!this.#closed) {
      if (this.#credentials.refused) {
        waits("token");
        await this.#pause(null);
        continue;
      }
      const answer = await this.#try(path, body, options);
      if (this.#closed) return null;
      if (answer !== null && isFinal(answer)) return answer;
      if (answer?.problem === "unauthorized") this.#credentials.refuse(answer.token);
      if (this.#credentials.refused) continue;
      waits("network");
      await this.#pause(backoff.failed(0) * 1000);
    }
    return null;
  }

  /** The network is back, or there is another token: what waits need not. */
  wake() {
    for (const waker of [...this.#wakers]) waker();
  }

  close() {
    this.#closed = true;
    this.wake();
  }

  async #try(path, body, options) {
    try {
      return await this.#send(path, body, options);
    } catch {
      return null;
    }
  }

  /** Waits so many milliseconds (null: without end), or until it is woken. */
  #pause(ms) {
    return new Promise((/** @type {(ended?: void) => void} */ resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#wakers.delete(done);
        resolve();
      };
      const timer = ms === null ? null : setTimeout(done, ms);
      this.#wakers.add(done);
    });
  }
}

// A refusal without one of our problems is a proxy's, as during an installation: it passes.
function isFinal({ ok, status, problem }) {
  if (ok) return true;
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
    load: () => ofTab.readJson(key) ?? [],
    save: (commands) => ofTab.writeJson(key, commands),
  };
}

/**
 * Where it survives the end of its tab, too: the next tab that is opened takes it over. While both are open both may
 * send it, and Core does it once, by its key.
 */
export function unsentBeyondTab(key) {
  const own = unsent(key);
  let mine = new Set();
  const save = (commands) => {
    own.save(commands);
    const others = (ofBrowser.readJson(key) ?? []).filter((command) => !mine.has(command.key));
    mine = new Set([...mine, ...commands.map((command) => command.key)]);
    ofBrowser.writeJson(key, [...others.filter((command) => !mine.has(command.key)), ...commands]);
  };
  const load = () => {
    const commands = new Map([...own.load(), ...(ofBrowser.readJson(key) ?? [])].map((command) => [command.key, command]));
    save([...commands.values()]);
    return [...commands.values()];
  };
  return { load, save };
}
