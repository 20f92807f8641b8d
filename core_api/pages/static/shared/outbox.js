// Sends a command until Core gives a final answer. After a lost answer, an error of the server or an overload, the
// command is sent again with the same key, so that Core does it only once. A command that is refused because of its
// token waits for the next token.

import { Backoff } from "../yabam/machine/backoff.js";
import { ofBrowser, ofTab } from "./storage.js";
import { uniform } from "../yabam/uniform.js";

const WAITS_S = { backoffFirst: 0.4, backoffMost: 8 };
/** Statuses of temporary refusals: the command is sent again. */
const TEMPORARY = new Set([401, 408, 425, 429]);

/** Sends commands, and keeps those that wait. */
export class Outbox {
  #send;
  #credentials;
  #wakers = new Set();
  #closed = false;

  /**
   * @param send (path, body, {key, version, updatedAt}) → a promise of Core's answer, with the token that the command
   *   was sent with; it rejects if there is no answer
   * @param credentials the Credentials that the commands are sent with
   */
  constructor(send, credentials) {
    this.#send = send;
    this.#credentials = credentials;
    credentials.onChange(() => this.wake());
  }

  /**
   * Sends a command until Core gives a final answer.
   *
   * @param path the request's path
   * @param body the request's body, as a value for JSON
   * @param options `key`: the idempotency key; `version`, `updatedAt`: those of the order that the person saw
   * @param waits called whenever the command has to wait: with "token" until there is another token, with "network"
   *   before the next try
   * @returns a promise of Core's answer, or of null if the outbox was closed before
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

  /** Lets all waiting commands try again now, as when the network is back or there is another token. */
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

  /** Waits for `ms` milliseconds, or until `wake` is called; null: only until `wake` is called. */
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

// A refusal without a problem document of ours comes from a proxy, as during a deployment: it is temporary.
function isFinal({ ok, status, problem }) {
  if (ok) return true;
  const refused = status >= 400 && status < 500 && !TEMPORARY.has(status);
  return refused && problem !== null && problem !== "conflict";
}

/** A random key that nobody else has. Over plain HTTP there is no crypto.randomUUID. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Storage for unsent commands, which survives a reload. It is this tab's own, so that no other tab sends them, too.
 */
export function unsent(key) {
  return {
    load: () => ofTab.readJson(key) ?? [],
    save: (commands) => ofTab.writeJson(key, commands),
  };
}

/**
 * As `unsent`, but the storage also survives the closing of the tab: the next tab that is opened takes the commands
 * over. While both tabs are open, both may send a command; Core does it once, by its key.
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
