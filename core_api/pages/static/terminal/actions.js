// What the owner does to orders: shown at once, sent until Core answers, taken back if it refuses.
//
// Each action has a key of its own, so that one that was sent twice is done once. It names the
// version that the owner saw, so that nobody accepts what was changed under their hands. A reload
// goes on where it was.

const FIRST_WAIT_MS = 400;
const MOST_WAIT_MS = 8_000;
const FINAL = (status) => status >= 400 && status < 500 && ![408, 425, 429].includes(status);

/** The actions that Core has not answered yet: one per order at most. */
export class Actions {
  #pending = new Map();
  #send;
  #told;
  #storage;
  #wakers = new Set();
  #closed = false;

  /**
   * @param send (path, body, {key, version}) → Core's answer; throws when there is none
   * @param told {changed(), answered(order), refused(action, answer)}
   * @param storage {load() → actions of before a reload, save(actions)}
   */
  constructor({ send, told, storage }) {
    this.#send = send;
    this.#told = told;
    this.#storage = storage;
  }

  /** Sends what a reload left behind. */
  start() {
    for (const action of this.#storage.load()) this.#begin(action);
  }

  /** Takes an order one step further; nothing while an action on it is not answered. */
  add({ id, version, status }, to, reason = null) {
    if (this.#pending.has(id)) return;
    this.#begin({ key: newKey(), id, version, seen: status, to, reason, tries: 0 });
    this.#save();
  }

  /** The order as it will be; `sending` and `retrying` say that Core has not answered yet. */
  shown(order) {
    const action = this.#pending.get(order.id);
    if (!action) return order;
    const { to, reason, tries } = action;
    return { ...order, status: to, reason, sending: true, retrying: tries > 0 };
  }

  /** Whether something is not answered yet. */
  get pending() {
    return this.#pending.size > 0;
  }

  /** The network is back: what waits need not. */
  wake() {
    for (const waker of [...this.#wakers]) waker();
  }

  close() {
    this.#closed = true;
    this.wake();
  }

  async #begin(action) {
    this.#pending.set(action.id, action);
    let answer = null;
    while (answer === null) {
      answer = await this.#answer(action);
      if (this.#closed) return;
      if (answer === null) {
        action.tries += 1;
        this.#told.changed();
        await this.#pause(action.tries);
      }
    }
    this.#pending.delete(action.id);
    this.#save();
    if (answer.order) this.#told.answered(answer.order);
    if (!answer.ok) this.#told.refused(action, answer);
  }

  /** Core's final answer; null: there is none yet. */
  async #answer({ id, to, reason, version, key }) {
    try {
      const path = `/v1/orders/${encodeURIComponent(id)}/transitions`;
      const body = reason === null ? { to } : { to, reason };
      const answer = await this.#send(path, body, { key, version });
      const settled = answer.ok || (FINAL(answer.status) && answer.problem !== "conflict");
      return settled ? answer : null;
    } catch {
      return null;
    }
  }

  #save() {
    this.#storage.save([...this.#pending.values()]);
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

/** A key that nobody else uses. crypto.randomUUID is missing over plain HTTP. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
