// The documents of one channel as Core has them, and their digest. Pure.
//
// As client_sdk/state/documents.py. If an event or a snapshot does not contain a value, it is computed from the
// diff or fetched; until then the previous value is shown, with its version. A new value may contain an own
// edit whose answer was lost. While that is unknown, the previous value is shown, too.

import { ContractError, channelOf, formatContentDigest } from "../contract/contract.js";
import { documentHash } from "../contract/state/document.js";
import { StateError } from "../contract/state/errors.js";
import { applyPatch } from "../contract/state/patch.js";
import { isObject } from "../contract/state/pointer.js";
import { same } from "../contract/state/values.js";

/** The documents of one channel. */
export class Documents {
  /** The versions to fetch, by key; null: the newest. */
  wanted = new Map();
  /** Whether a snapshot of the channel has been received. */
  synced = false;
  #newest;
  /** The older documents that are shown in place of the newest known ones, by key; null: no document. */
  #held = new Map();
  #hashes = new Map();
  #check = null;
  /** By key, the newest version that was fetched and has not arrived through the log yet. */
  #ahead = new Map();
  /** Whether a deletion was fetched that may not have arrived through the log yet. */
  #isEndAhead = false;

  /**
   * @param kept the documents stored by the previous run; they are shown until Core has answered
   * @param epoch the epoch of the log that `kept` comes from; null: not known
   */
  constructor(kept = [], epoch = null) {
    this.epoch = epoch;
    this.#newest = new Map(kept.map((document) => [document.key, document]));
  }

  /** The document as it is shown; null: it is not known here. */
  get(key) {
    return this.#held.has(key) ? this.#held.get(key) : (this.#newest.get(key) ?? null);
  }

  /** The version that is shown; 0: none. */
  version(key) {
    return this.get(key)?.version ?? 0;
  }

  /** Whether an older value, or none, is shown until a version of this log is known. */
  standsIn(key) {
    const isAwaited = this.#held.has(key) || this.#newest.has(key) || this.wanted.has(key);
    return this.version(key) === 0 && isAwaited;
  }

  /**
   * Whether the document does not exist, as far as known, and a version of it was never seen.
   *
   * @param key the document's
   * @param version the one to know about
   */
  isGone(key, version) {
    const newest = this.#newest.get(key);
    return newest === undefined || (newest.value === null && newest.version < version);
  }

  /** Every document that is there, as it is shown. */
  get all() {
    const keys = new Set([...this.#newest.keys(), ...this.#held.keys()]);
    return [...keys].map((key) => this.get(key)).filter((one) => one !== null && one.value !== null);
  }

  /** The keys for which an older value is shown than the newest known one. */
  get held() {
    return [...this.#held.keys()];
  }

  /** Shows the newest known value of the key from now on. */
  release(key) {
    this.#held.delete(key);
  }

  /**
   * Applies an event. Returns whether the newest known document has changed.
   *
   * @param event a document's, checked
   * @param unsure whether any newer version may contain an own edit. Events name the author of each version, so
   *   the value is held back only if versions in between are missing.
   * @param isOneLog whether own edits have the same client id and number in this log; if not, the author's name
   *   cannot identify them
   */
  apply(event, unsure = false, isOneLog = true) {
    this.#check = null;
    if (event.version >= (this.#ahead.get(event.key) ?? event.version)) this.#ahead.delete(event.key);
    const before = this.#version(event.key);
    if (event.version <= before) return false;
    const value = event.data === undefined ? this.#fromDiff(event) : event.data;
    if (value === undefined) {
      this.wanted.set(event.key, event.version);
      return false;
    }
    const { key, version, schema, by } = event;
    if (unsure && (version > before + 1 || !isOneLog)) this.#hold(key);
    this.#know({ channel: channelOf(event), key, version, schema, updated_at: event.occurred_at, by, value });
    return true;
  }

  /**
   * Replaces all documents by a snapshot's. Returns the keys of all old and new documents. The version of a
   * deleted document is remembered, as versions never restart within a log. A version that was fetched is kept
   * if the snapshot has an older one.
   *
   * @param {import("../machine/sequencing.js").Reset} reset the snapshot, and why it came
   * @param {string} epoch the epoch of its log
   * @param {string[]} unsure the keys of which an own edit may be in any newer version: those that have changed are
   *   held back
   */
  replace({ reason, documents = [] }, epoch, unsure = []) {
    // What was kept may be of another log than the queue, and what differs is not to be trusted: such a
    // value is shown while Core's is fetched, but its version says nothing.
    const isOneLog = this.synced && this.epoch === epoch && reason !== "ahead";
    const isTrusted = isOneLog && reason !== "digest";
    const shown = this.#newest;
    const ahead = isOneLog ? this.#ahead : new Map();
    const before = isTrusted ? shown : new Map([...ahead.keys()].map((key) => [key, shown.get(key)]));
    const held = unsure.map((key) => [key, this.get(key)]);
    this.epoch = epoch;
    const brought = new Set(documents.map(({ key }) => key));
    const keys = new Set([...this.#newest.keys(), ...brought]);
    this.#newest = new Map();
    this.#hashes.clear();
    this.#check = null;
    this.wanted = new Map();
    this.#ahead = new Map();
    this.synced = true;
    for (const document of documents) {
      const known = before.get(document.key);
      if (known !== undefined && known.version > document.version) {
        this.#newest.set(document.key, known);
        this.#ahead.set(document.key, known.version);
        continue;
      }
      if (document.value !== undefined) {
        this.#newest.set(document.key, document);
        continue;
      }
      const kept = shown.get(document.key);
      if (known !== undefined) this.#newest.set(document.key, known);
      else if (kept !== undefined) this.#newest.set(document.key, { ...kept, version: 0 });
      if (known?.version !== document.version) this.wanted.set(document.key, document.version);
    }
    for (const [key, document] of before) {
      if (brought.has(key)) continue;
      this.#newest.set(key, ahead.has(key) ? document : { ...document, value: null });
      if (!ahead.has(key)) continue;
      // The snapshot is older, or the document was deleted since: fetch it to find out.
      this.#ahead.set(key, ahead.get(key));
      this.wanted.set(key, null);
    }
    this.#held.clear();
    for (const [key, one] of held) {
      if (isSame(one, this.#newest.get(key) ?? null)) continue;
      this.#held.set(key, one === null || isTrusted ? one : { ...one, version: 0 });
    }
    return keys;
  }

  /**
   * Takes a fetched version. Returns whether the newest known document has changed.
   *
   * @param document as checkDocument accepts it
   * @param unsure whether it may contain an own edit; then the old value is still shown
   */
  fetched(document, unsure = false) {
    const { key, version, value } = document;
    const wanted = this.wanted.get(key) ?? null;
    if ((this.wanted.get(key) ?? 0) <= version) this.wanted.delete(key);
    if (value === undefined || version <= this.#version(key)) return false;
    if (unsure) this.#hold(key);
    this.#know(document);
    if (value === null) {
      this.#ahead.delete(key);
      this.#isEndAhead = true;
    } else if (wanted === null || version > wanted) this.#ahead.set(key, version);
    return true;
  }

  /**
   * Core does not have a version that was asked for.
   *
   * @param key the document's
   * @param version null: the newest, so there is no document
   * @returns whether to fetch the newest one instead
   */
  missing(key, version) {
    if (this.wanted.get(key) !== version) return false;
    if (version === null) {
      this.wanted.delete(key);
      return false;
    }
    this.wanted.set(key, null);
    return true;
  }

  /** Asks for the newest version, unless a version is already asked for. */
  want(key) {
    if (!this.wanted.has(key)) this.wanted.set(key, null);
  }

  /**
   * Whether the documents have this digest; null: they cannot be compared, while a value is missing
   * (`agreesNow` repeats the comparison once it is here) or a fetched value is newer than the log. A fetched
   * deletion may never appear as an event, so it excuses one failed comparison only: the digest may have been
   * made before the deletion.
   *
   * @param contentDigest Core's, as 32 lower-case hex digits
   */
  agrees(contentDigest) {
    this.#check = null;
    if (this.#ahead.size > 0) return null;
    if (this.wanted.size > 0) {
      this.#check = contentDigest;
      return null;
    }
    const agrees = this.#compare(contentDigest);
    this.#isEndAhead = false;
    return agrees;
  }

  /** The result of a postponed comparison; null: there is none, or it must wait longer. */
  agreesNow() {
    if (this.#check === null || this.wanted.size > 0) return null;
    const check = this.#check;
    this.#check = null;
    return this.#ahead.size > 0 ? null : this.#compare(check);
  }

  #compare(contentDigest) {
    if (formatContentDigest(this.#digest()) === contentDigest) return true;
    return this.#isEndAhead ? null : false;
  }

  #digest() {
    let total = 0n;
    for (const [key, document] of this.#newest) {
      if (!this.#hashes.has(key)) this.#hashes.set(key, hashOf(document));
      total ^= this.#hashes.get(key);
    }
    return total;
  }

  /** The newest version that is known; 0: none. */
  #version(key) {
    return this.#newest.get(key)?.version ?? 0;
  }

  #hold(key) {
    if (!this.#held.has(key)) this.#held.set(key, this.get(key));
  }

  #fromDiff({ key, version, diff }) {
    const before = this.#newest.get(key);
    const isFar = this.wanted.has(key) || version !== this.#version(key) + 1;
    if (diff === undefined || isFar || (before !== undefined && before.value === undefined)) return undefined;
    try {
      const value = applyPatch(before?.value ?? undefined, diff);
      if (value === undefined) return null;
      return isObject(value) ? value : undefined;
    } catch (error) {
      if (error instanceof StateError) return undefined;
      throw error;
    }
  }

  #know(document) {
    const { key, version } = document;
    this.#newest.set(key, document);
    this.#hashes.delete(key);
    if ((this.wanted.get(key) ?? 0) <= version) this.wanted.delete(key);
  }
}

/** Whether both are the same document at the same version, or both are missing. */
function isSame(one, other) {
  if (one === null || other === null) return one === other;
  return one.version === other.version && same(one.value, other.value);
}

// An invalid value has no hash: then the digests differ, and a snapshot is fetched again.
function hashOf({ key, version, value }) {
  try {
    return value === undefined ? 0n : documentHash(key, version, value);
  } catch (error) {
    if (error instanceof ContractError) return 0n;
    throw error;
  }
}
