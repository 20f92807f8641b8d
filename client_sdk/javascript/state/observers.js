// Subscriptions: which callbacks to call when a part of a document has changed. Pure.
//
// As client_sdk/state/observers.py. With a path, an observer is notified when the value there has changed;
// without one, when anything of the document has changed, such as the number of pending edits.

import { nameOf, partsOf } from "./entries.js";
import { get } from "../contract/state/pointer.js";
import { same } from "../contract/state/values.js";

/** All subscriptions of one client. */
export class Observers {
  #look;
  #observers = new Set();

  /** @param look (document's name) → the document as it is shown now, as Replica.view */
  constructor(look) {
    this.#look = look;
  }

  /**
   * Calls `call` once per batch that changes any of these. Returns the unsubscriber.
   *
   * @param names the documents' names
   * @param path the part of each to compare, as parsePointer returns it; empty: the whole document
   * @param call called with the names of those that have changed
   */
  add(names, path, call) {
    const shown = new Map(names.map((name) => [name, this.#part(name, path)]));
    const observer = { names, path, call, shown };
    this.#observers.add(observer);
    return () => void this.#observers.delete(observer);
  }

  /** The names of all documents that are observed. */
  get names() {
    return new Set([...this.#observers].flatMap(({ names }) => names));
  }

  /**
   * The observers to notify, each as [observer, changed names].
   *
   * @param changed the names of the documents that may have changed, a Set
   */
  told(changed) {
    const calls = [];
    for (const observer of this.#observers) {
      const news = observer.names.filter((name) => isIn(changed, name) && this.#isNews(observer, name));
      if (news.length > 0) calls.push([observer, news]);
    }
    return calls;
  }

  #isNews(observer, name) {
    const part = this.#part(name, observer.path);
    if (same(part, observer.shown.get(name))) return false;
    observer.shown.set(name, part);
    return true;
  }

  #part(name, path) {
    const view = this.#look(name);
    return path.length > 0 ? get(view.value ?? undefined, path) : view;
  }
}

const isIn = (changed, name) => changed.has(name) || changed.has(nameOf(partsOf(name)[0], ""));
