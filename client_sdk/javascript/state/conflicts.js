// What a refusal means to the program: an error to show, or a conflict to decide. Pure.
//
// As client_sdk/state/conflicts.py. A resolver is (key, base, current, own) → value, or a promise of
// one; null keeps Core's value.

import { slugOf } from "../transport/http_failures.js";
import { StateError } from "../contract/state/errors.js";
import { perform } from "./view.js";
import { partsOf } from "./entries.js";

const TO_DECIDE = ["edit-conflict", "edit-outdated"];

/** Why the edit was refused: {slug, detail, pointer}. */
export function errorOf(entry, { problem, pointer = null }) {
  if (!problem) return { slug: "refused", detail: `edit ${entry.n} was refused`, pointer };
  return { slug: slugOf(problem), detail: problem.detail || problem.title, pointer };
}

/**
 * The conflict to decide, {id, channel, key, slug, conflict}; null: the edit is refused, and that is
 * all.
 *
 * Core gives what the edit would have made of the document where the client is to decide. Edits of this
 * client that were made on the refused one are refused with it, so what they would have made is part of
 * what is decided.
 */
export function conflictOf(entry, outcome, entries, hasResolver) {
  const slug = outcome.problem ? slugOf(outcome.problem) : null;
  if (!TO_DECIDE.includes(slug)) return null;
  const conflict = outcome.conflict ?? { version: outcome.version ?? 0 };
  if (conflict.own === undefined && slug === "edit-conflict" && !hasResolver) return null;
  let own = conflict.own === undefined ? after(entry, conflict.base ?? null) : conflict.own;
  const below = new Set([entry.n]);
  for (const later of entries) {
    const madeOn = later.edit.base?.n;
    const ofThis = later.client === entry.client && later.document === entry.document;
    if (!ofThis || !below.has(madeOn)) continue;
    below.add(later.n);
    own = after(later, own);
  }
  const [channel, key] = partsOf(entry.document);
  return { id: entry.id, channel, key, slug, conflict: { ...conflict, own } };
}

/**
 * The conflict after the log has begun anew: the client has seen no version of that log. What decides it
 * takes effect where there is no document; elsewhere it is a conflict again, with what this log has.
 */
export function ofAnotherLog(waiting) {
  return { ...waiting, conflict: { ...waiting.conflict, version: 0 } };
}

function after(entry, value) {
  try {
    return perform(entry.edit.do, value, {});
  } catch (error) {
    if (error instanceof StateError) return value;
    throw error;
  }
}
