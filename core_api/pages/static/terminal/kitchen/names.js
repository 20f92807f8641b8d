// Under which id a dish is sold out. Pure.

import { sameName } from "../../shared/names.js";

/** An id for a dish that no menu names: the same wherever it is made from the same name. */
export function idOf(name) {
  // FNV-1a, twice 32 bits: ids need not be secret, only apart.
  const bytes = new TextEncoder().encode(sameName(name));
  const hash = (seed) => bytes.reduce((sum, byte) => Math.imul(sum ^ byte, 0x01000193) >>> 0, seed);
  return `dish-${[0x811c9dc5, 0x01234567].map((seed) => hash(seed).toString(16).padStart(8, "0")).join("")}`;
}

/** The ids in a `sold-out` document under which the dish stands. */
export function soldOutIds(value, name) {
  const entries = Object.entries(value?.items ?? {});
  return entries.filter(([, item]) => sameName(item.name) === sameName(name)).map(([id]) => id);
}
