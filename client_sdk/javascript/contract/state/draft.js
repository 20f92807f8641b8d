// A value that is being changed; only the parts along changed paths are copied. Pure.
//
// As client_sdk/contract/state/draft.py. The original value is never changed; both share all unchanged parts.

import { PointerError } from "./errors.js";
import { arrayIndex, formatPointer, isObject, member, putMember } from "./pointer.js";

/** The changed value so far; undefined: there is none. */
export class Draft {
  #own = new Set();

  /** @param value the value to change, which stays as it is; undefined: there is none */
  constructor(value) {
    this.value = value;
  }

  /**
   * The object or array at the path, copied if necessary so that it may be changed.
   *
   * @param path as parsePointer returns it
   * @throws PointerError there is no object or array
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

  /**
   * Sets the value at the path. Whatever is not an object on the way is replaced by one.
   *
   * @param path as parsePointer returns it; empty: the whole value
   * @param value the new value, which is not copied
   */
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
