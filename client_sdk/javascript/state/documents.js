// The documents of one channel as Core has them, and their digest. Pure.
//
// As client_sdk/state/documents.py. A value that stands in no event and in no snapshot is made from its
// diff, or is fetched; until then the value before it is shown, with its version. So it is with a value of
// which nobody can say yet whether it contains an own edit whose answer was lost: it is known, and held back.

import { ContractError, channelOf, formatContentDigest } from "../contract/contract.js";
import { documentHash } from "../contract/state/document.js";
import { StateError } from "../contract/state/errors.js";
import { applyPatch } from "../contract/state/patch.js";
import { isObject } from "../contract/state/pointer.js";
import { same } from "../contract/state/values.js";

/** One channel. */
export class Documents {
  /** The versions to fetch, by key; null: the newest. */
  wanted = new Map();
  /** Whether Core has told what there is. */
  synced = false;
  #newest;
  /** What is shown in place of the newest that is known, by key; null: no document. */
  #held = new Map();
  #hashes = new Map();
  #check = null;
  /** The newest versions that were fetched before the log has brought them, by key. */
  #ahead = new Map();
  /** Whether a deletion was fetched that the log may not have brought yet. */
  #isEndAhead = false;

  /**
   * @param kept what was known when the program ended; it is shown until Core has answered
   * @param epoch the log that this is of; null: not known
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

  /** Whether what is shown, or nothing, stands in until a version of this log can be shown. */
  standsIn(key) {
    const isAwaited = this.#held.has(key) || this.#newest.has(key) || this.wanted.has(key);
    return this.version(key) === 0 && isAwaited;
  }

  /** Whether there is no such document, and nothing is known of this version of it. */
  isGone(key, version) {
    const newest = this.#newest.get(key);
    return newest === undefined || (newest.value === null && newest.version < version);
  }

  /** Every document that is there, as it is shown. */
  get all() {
    const keys = new Set([...this.#newest.keys(), ...this.#held.keys()]);
    return [...keys].map((key) => this.get(key)).filter((one) => one !== null && one.value !== null);
  }

  /** The keys of which a newer value is known than the one that is shown. */
  get held() {
    return [...this.#held.keys()];
  }

  /** Shows the newest that is known. */
  release(key) {
    this.#held.delete(key);
  }

  /**
   * Takes an event; whether more is known than before.
   *
   * @param unsure whether an own edit may be in any newer version. The log names the author of each
   *   version, so only what comes without those between is held back.
   * @param isOneLog whether own edits have the names here that they have in the log; if not, the author
   *   says nothing
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
   * The channel's documents are these and no others; the keys of all that there were or are. Of a
   * document that is gone the version stays, as it never restarts within a log. A snapshot that was made
   * before a version was fetched does not take that version back.
   *
   * @param {import("../machine/sequencing.js").Reset} reset
   * @param {string} epoch
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
      // The snapshot is older, or it was deleted since: Core says which.
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
   * Takes a version that was fetched; whether more is known than before.
   *
   * @param unsure whether an own edit may be in it: then it is held back
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

  /** Core does not have that version; whether the newest is to be fetched instead. */
  missing(key, version) {
    if (this.wanted.get(key) !== version) return false;
    if (version === null) {
      this.wanted.delete(key);
      return false;
    }
    this.wanted.set(key, null);
    return true;
  }

  /** Asks for the newest version, unless one is asked for. */
  want(key) {
    if (!this.wanted.has(key)) this.wanted.set(key, null);
  }

  /**
   * Whether the digest is this; null: a value is missing, it is compared when it is here; or one is here
   * that the log has not brought yet. No event need ever tell of a deletion that was fetched, so that
   * excuses one comparison, which may have been asked for before; the next one is of a log that has
   * brought it.
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

  /** The comparison that waited, if it can be made now. */
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

/** Whether both are the document at one version, or there is none in either. */
function isSame(one, other) {
  if (one === null || other === null) return one === other;
  return one.version === other.version && same(one.value, other.value);
}

// A value that no document may hold has no hash: then the digests differ, and Core is asked anew.
function hashOf({ key, version, value }) {
  try {
    return value === undefined ? 0n : documentHash(key, version, value);
  } catch (error) {
    if (error instanceof ContractError) return 0n;
    throw error;
  }
}
