// How a refused edit is reported: as an error to show, or as a conflict to decide. Pure.
//
// As client_sdk/state/conflicts.py. A resolver is (key, base, current, own) → value, or a promise of
// one; null keeps Core's value.

import { slugOf } from "../transport/http_failures.js";
import { StateError } from "../contract/state/errors.js";
import { perform } from "./view.js";
import { partsOf } from "./entries.js";

const TO_DECIDE = ["edit-conflict", "edit-outdated"];

/**
 * Why the edit was refused: {slug, detail, pointer}.
 *
 * @param entry the refused edit
 * @param outcome Core's answer to it
 */
export function errorOf(entry, { problem, pointer = null }) {
  if (!problem) return { slug: "refused", detail: `edit ${entry.n} was refused`, pointer };
  return { slug: slugOf(problem), detail: problem.detail || problem.title, pointer };
}

/**
 * The conflict that the refused edit leads to, {id, channel, key, slug, conflict}; null: there is only an
 * error.
 *
 * If the client is to decide, Core's answer contains the value that the edit would have produced. Later edits
 * that were based on the refused one are refused too, so the client's own value in the conflict includes their
 * changes.
 *
 * @param entry the refused edit
 * @param outcome Core's answer to it
 * @param entries all edits in the queue, in order
 * @param hasResolver whether the program has a resolver for the document's key
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
 * The conflict after Core has started a new log, of which the client has seen no version yet. The resolution
 * takes effect if the new log has no such document; otherwise it leads to a new conflict.
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
