// A value that is being changed: copied along the paths that change, and nowhere else. Pure.
//
// As client_sdk/contract/state/draft.py. What the value was made from is never touched, and both
// share all that stayed the same.

import { PointerError } from "./errors.js";
import { arrayIndex, formatPointer, isObject, member, putMember } from "./pointer.js";

/** The value so far; undefined: there is none. */
export class Draft {
  #own = new Set();

  constructor(value) {
    this.value = value;
  }

  /**
   * The object or array at the path, as one that may be written to.
   *
   * @throws PointerError there is no object and no array
   */
  container(path) {
    let node = this.#owned(this.value);
    if (node === null) throw new PointerError("there is no value");
    this.value = node;
    for (const [depth, part] of path.entries()) {
      const child = this.#owned(childOf(node, part));
      if (child === null) {
        const where = formatPointer(path.slice(0, depth + 1));
        throw new PointerError(`there is no object and no array at ${where}`);
      }
      putMember(node, part, child);
      node = child;
    }
    return node;
  }

  /** Puts the value there, through objects only: what is no object on the way becomes one. */
  put(path, value) {
    if (path.length === 0) {
      this.value = value;
      return;
    }
    let node = this.#object(this.value);
    this.value = node;
    for (const part of path.slice(0, -1)) {
      const child = this.#object(member(node, part));
      putMember(node, part, child);
      node = child;
    }
    putMember(node, path.at(-1), value);
  }

  #object(node) {
    if (isObject(node)) return this.#owned(node);
    const made = {};
    this.#own.add(made);
    return made;
  }

  #owned(node) {
    if (this.#own.has(node)) return node;
    let made = /** @type {object | null} */ (null);
    if (Array.isArray(node)) made = [...node];
    else if (isObject(node)) made = { ...node };
    if (made !== null) this.#own.add(made);
    return made;
  }
}

function childOf(node, part) {
  if (!Array.isArray(node)) return member(node, part);
  const index = arrayIndex(part);
  return index === null ? undefined : node[index];
}
