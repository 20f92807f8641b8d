// JSON Patch (RFC 6902): operations on a value, and the diff of two values. Pure.
//
// As client_sdk/contract/state/patch.py. The whole value is treated like a member: `add` at the empty pointer
// creates an undefined value, and `remove` there results in undefined.

import { MAX_VALUE_BYTES, MAX_VALUE_DEPTH } from "../contract_lists.js";
import { Draft } from "./draft.js";
import { PatchError, PointerError, shown } from "./errors.js";
import { arrayIndex, formatPointer, get, isObject, member, parsePointer, putMember } from "./pointer.js";
import { same } from "./values.js";

/**
 * The value after all operations, in order; neither is changed.
 *
 * @param value a JSON value, or undefined
 * @param operations the patch; all `copy` operations together may copy MAX_VALUE_BYTES
 * @returns the new value; undefined: it was removed
 * @throws PatchError an operation is malformed or does not apply; the error names the first one
 */
export function applyPatch(value, operations) {
  const draft = new Draft(value);
  const room = { left: MAX_VALUE_BYTES };
  let moved = null;
  for (const [index, operation] of operations.entries()) {
    try {
      applyOne(draft, operation, room);
    } catch (error) {
      if (!(error instanceof PointerError)) throw error;
      throw new PatchError(index, error.message);
    }
    if (operation.op === "move") moved = index;
  }
  if (moved !== null && isTooDeep(draft.value)) {
    throw new PatchError(moved, "the moves nest the value deeper than a document allows");
  }
  return draft.value;
}

function applyOne(draft, operation, room) {
  const path = pathOf(operation, "path");
  switch (operation.op) {
    case "add":
      return add(draft, path, valueOf(operation));
    case "remove":
      return void remove(draft, path);
    case "replace":
      return replace(draft, path, valueOf(operation));
    case "test":
      if (same(get(draft.value, path), valueOf(operation))) return undefined;
      throw new PointerError(`the test of ${at(path)} fails: another value is there`);
    case "move":
      return move(draft, pathOf(operation, "from"), path);
    case "copy":
      return add(draft, path, copied(existing(draft, pathOf(operation, "from")), room, 0));
    default:
      throw new PointerError(`${shown(operation.op)} is no operation`);
  }
}

function pathOf(operation, field) {
  const text = member(operation, field);
  if (typeof text !== "string") throw new PointerError(`"${field}" is missing or not a JSON Pointer`);
  return parsePointer(text);
}

function valueOf(operation) {
  const value = member(operation, "value");
  if (value === undefined) throw new PointerError('"value" is missing');
  return value;
}

function existing(draft, path) {
  const found = get(draft.value, path);
  if (found === undefined) throw new PointerError(`there is nothing at ${at(path)}`);
  return found;
}

function add(draft, path, value) {
  if (path.length === 0) {
    draft.value = value;
    return;
  }
  const parent = draft.container(path.slice(0, -1));
  const last = path.at(-1);
  if (!Array.isArray(parent)) {
    putMember(parent, last, value);
    return;
  }
  const index = last === "-" ? parent.length : arrayIndex(last);
  if (index === null || index > parent.length) {
    throw new PointerError(`the array has no place for ${at(path)}`);
  }
  parent.splice(index, 0, value);
}

function remove(draft, path) {
  const found = existing(draft, path);
  if (path.length === 0) {
    draft.value = undefined;
    return found;
  }
  const parent = draft.container(path.slice(0, -1));
  if (Array.isArray(parent)) parent.splice(Number(path.at(-1)), 1);
  else delete parent[path.at(-1)];
  return found;
}

function replace(draft, path, value) {
  existing(draft, path);
  if (path.length === 0) draft.value = value;
  else putMember(draft.container(path.slice(0, -1)), path.at(-1), value);
}

function move(draft, source, path) {
  if (source.length <= path.length && source.every((part, n) => part === path[n])) {
    if (source.length < path.length) throw new PointerError(`${at(source)} cannot be moved into itself`);
    existing(draft, path);
    return;
  }
  add(draft, path, remove(draft, source));
}

/** A deep copy, so that the draft has no part twice; its size is subtracted from `room`. */
function copied(value, room, depth) {
  room.left -= typeof value === "string" ? charactersOf(value) + 2 : 2;
  if (room.left < 0) throw new PointerError("the patch copies more than a document can hold");
  if (depth > MAX_VALUE_DEPTH) throw new PointerError("the copied value is nested too deep for a document");
  if (Array.isArray(value)) return value.map((part) => copied(part, room, depth + 1));
  if (!isObject(value)) return value;
  const made = {};
  for (const name of Object.keys(value)) room.left -= name.length;
  for (const [name, part] of Object.entries(value)) putMember(made, name, copied(part, room, depth + 1));
  return made;
}

// As Python counts them: a pair of surrogates is one.
function charactersOf(text) {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

function isTooDeep(value) {
  let level = [value];
  for (let depth = 0; depth < 2 * MAX_VALUE_DEPTH; depth++) {
    level = level.flatMap((node) => (typeof node === "object" && node !== null ? Object.values(node) : []));
  }
  return level.length > 0;
}

const at = (path) => (path.length > 0 ? shown(formatPointer(path)) : "the whole value");

/**
 * The patch from `before` to `after`: add, remove and replace, sorted by name.
 *
 * Only objects are compared member by member: a changed array is replaced as a whole.
 *
 * @param before a JSON value; undefined: there is none
 * @param after a JSON value; undefined: there is none
 */
export function diff(before, after) {
  const operations = [];
  collect(before, after, "", operations);
  return operations;
}

function collect(before, after, path, operations) {
  if (before === after) return;
  if (isObject(before) && isObject(after)) {
    const names = new Set([...Object.keys(before), ...Object.keys(after)]);
    for (const name of [...names].sort()) {
      collect(member(before, name), member(after, name), path + formatPointer([name]), operations);
    }
  } else if (after === undefined) {
    operations.push({ op: "remove", path });
  } else if (before === undefined) {
    operations.push({ op: "add", path, value: after });
  } else if (!same(before, after)) {
    operations.push({ op: "replace", path, value: after });
  }
}
