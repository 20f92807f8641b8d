// JSON Merge Patch (RFC 7396): an object with the changed members; null removes one. Pure.
//
// As client_sdk/contract/state/merge_patch.py.

import { isObject, member, putMember } from "./pointer.js";

/**
 * The target after the patch; neither is changed, and the result shares their parts.
 *
 * @param target any JSON value; anything but an object counts as an empty object
 * @param patch an object is merged; anything else replaces the whole target
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
