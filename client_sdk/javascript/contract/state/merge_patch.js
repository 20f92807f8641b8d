// JSON Merge Patch (RFC 7396): an object that says what changes, null for what goes. Pure.
//
// As client_sdk/contract/state/merge_patch.py.

import { isObject, member, putMember } from "./pointer.js";

/**
 * The target after the patch; neither is changed, and the result shares their parts.
 *
 * @param target any JSON value; what is no object counts as an empty one
 * @param patch an object merges, anything else replaces the whole
 */
export function mergePatch(target, patch) {
  if (!isObject(patch)) return patch;
  const merged = isObject(target) ? { ...target } : {};
  for (const [name, part] of Object.entries(patch)) {
    if (part === null) delete merged[name];
    else putMember(merged, name, mergePatch(member(merged, name), part));
  }
  return merged;
}
