// The id under which a dish is marked as sold out. Pure.

import { sameName } from "../../shared/names.js";

/** An id for a dish that is on no menu. The same name always gives the same id, on every device. */
export function idOf(name) {
  // FNV-1a, twice 32 bits: ids must differ, but need not be secret.
  const bytes = new TextEncoder().encode(sameName(name));
  const hash = (seed) => bytes.reduce((sum, byte) => Math.imul(sum ^ byte, 0x01000193) >>> 0, seed);
  return `dish-${[0x811c9dc5, 0x01234567].map((seed) => hash(seed).toString(16).padStart(8, "0")).join("")}`;
}

/**
 * The ids under which a document `sold-out` has this dish.
 *
 * @param value the document's value, or null
 * @param name the dish's name
 * @returns the ids, as an array
 */
export function soldOutIds(value, name) {
  const entries = Object.entries(value?.items ?? {});
  return entries.filter(([, item]) => sameName(item.name) === sameName(name)).map(([id]) => id);
}
