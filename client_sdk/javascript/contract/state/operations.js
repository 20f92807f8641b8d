// The six operations of an edit: their form in messages, and the effect of five of them.
//
//     {set: {…}}  {merge: {…}}  {patch: […]}  {add: {"/a/b": 1}}  {delete: true}
//     {call: {name: "…", arguments: …}}
//
// Pure; as client_sdk/contract/state/operations.py. The sixth, `call`, names a function of the operator, which
// only Core can run.

import { Draft } from "./draft.js";
import { OperationError, StateValueError, shown } from "./errors.js";
import { mergePatch } from "./merge_patch.js";
import { applyPatch } from "./patch.js";
import { formatPointer, isObject, member, parsePointer } from "./pointer.js";
import { checkDocumentValue, checkValue } from "./values.js";

const ID = /^[A-Za-z0-9_.\-]{1,64}$/;
const FIELDS = {
  add: ["path", "value"],
  remove: ["path"],
  replace: ["path", "value"],
  move: ["from", "path"],
  copy: ["from", "path"],
  test: ["path", "value"],
};
const POINTERS = ["from", "path"];

/**
 * Whether it is a valid name of a key, a client or a function.
 *
 * @param text any value
 */
export const isId = (text) => typeof text === "string" && ID.test(text);

/**
 * Checks an operation and returns it.
 *
 * @param operation any JSON value
 * @throws OperationError not an object with exactly one of the six names, or its content is malformed; what
 *   a patch's pointers name is checked only when the patch is applied
 * @throws StateValueError it contains a value that a document may not contain
 */
export function checkOperation(operation) {
  const names = isObject(operation) ? Object.keys(operation) : [];
  const [name] = names;
  if (names.length !== 1) {
    throw new OperationError('"do" has exactly one of set, merge, patch, add, delete, call');
  }
  if (!Object.hasOwn(CHECKS, name)) {
    throw new OperationError(`${shown(name)} is not one of set, merge, patch, add, delete, call`);
  }
  CHECKS[name](operation[name]);
  return operation;
}

const CHECKS = {
  set: checkDocumentValue,
  merge(body) {
    if (!isObject(body)) throw new OperationError("merge takes an object, the merge patch");
    checkValue(body);
  },
  patch: checkPatch,
  add: checkNumbers,
  delete(body) {
    if (body !== true) throw new OperationError("delete takes true");
  },
  call(body) {
    const known = isObject(body) && Object.keys(body).every((name) => ["name", "arguments"].includes(name));
    if (!known) throw new OperationError("call takes a name and arguments, and nothing else");
    if (!isId(member(body, "name"))) {
      throw new OperationError("call takes the name of a function: 1 to 64 of A-Z a-z 0-9 _ . -");
    }
    checkValue(member(body, "arguments") ?? null);
  },
};

function checkPatch(body) {
  if (!Array.isArray(body)) throw new OperationError("patch takes an array of operations");
  for (const [index, operation] of body.entries()) {
    const op = isObject(operation) ? member(operation, "op") : undefined;
    // Only a text is looked up: an array of one text would pass for it.
    const fields = typeof op === "string" ? member(FIELDS, op) : undefined;
    if (fields === undefined) {
      throw new OperationError(`operation ${index} of the patch is not an object with an op of RFC 6902`);
    }
    const lacking = fields.find((field) => member(operation, field) === undefined);
    if (lacking) throw new OperationError(`operation ${index} of the patch has no ${lacking}`);
    for (const field of POINTERS) {
      if (fields.includes(field) && typeof operation[field] !== "string") {
        throw new OperationError(`operation ${index} of the patch has a ${field} that is no text`);
      }
    }
    try {
      checkValue(member(operation, "value") ?? null);
    } catch (error) {
      if (!(error instanceof StateValueError)) throw error;
      throw new StateValueError(`${operation.path}${error.pointer}`, error.reason);
    }
    checkUnused(operation, fields, index);
  }
}

// Members that an operation does not use are ignored, and kept with the rest: no reader may fail at their depth.
function checkUnused(operation, fields, index) {
  for (const [name, value] of Object.entries(operation)) {
    if (name === "op" || fields.includes(name)) continue;
    try {
      checkValue(value);
    } catch (error) {
      if (!(error instanceof StateValueError)) throw error;
      throw new OperationError(`operation ${index} of the patch has a bad member ${shown(name)}: ${error.reason}`);
    }
  }
}

function checkNumbers(body) {
  if (!isObject(body) || Object.keys(body).length === 0) {
    throw new OperationError("add takes an object of JSON Pointers, each with an integer");
  }
  for (const [pointer, number] of Object.entries(body)) {
    if (parsePointer(pointer).length === 0) {
      throw new OperationError("add takes the pointer of a number, not of the whole value");
    }
    if (!Number.isSafeInteger(number)) {
      throw new StateValueError(pointer, "add takes an integer within ±9007199254740991");
    }
  }
}

/**
 * The document's value after the operation; the arguments are not changed.
 *
 * @param operation any but `call`
 * @param value the document's value; null: there is no document
 * @returns the new value; null: the document is deleted
 * @throws PatchError the patch does not apply
 * @throws OperationError the result is not an object, or there is no number to add to
 */
export function apply(operation, value) {
  if (operation.set !== undefined) return operation.set;
  if (operation.merge !== undefined) return mergePatch(value, operation.merge);
  if (operation.patch !== undefined) {
    const patched = applyPatch(value ?? undefined, operation.patch);
    if (isObject(patched)) return patched;
    throw new OperationError("the patch's result is not an object: to delete, use delete");
  }
  return operation.add !== undefined ? added(operation.add, value) : null;
}

function added(numbers, value) {
  const draft = new Draft(value ?? {});
  for (const pointer of Object.keys(numbers).sort()) {
    const path = parsePointer(pointer);
    draft.put(path, sum(draft.value, path, numbers[pointer]));
  }
  return draft.value;
}

function sum(value, path, number) {
  let found = value;
  for (const [depth, part] of path.entries()) {
    if (found === undefined) return number;
    if (!isObject(found)) {
      const where = shown(formatPointer(path.slice(0, depth)));
      throw new OperationError(`add works inside objects only: ${where} is not one`);
    }
    found = member(found, part);
  }
  if (found === undefined) return number;
  if (typeof found !== "number") {
    throw new OperationError(`there is no number at ${shown(formatPointer(path))} to add to`);
  }
  // Beyond the 53 bits it would be rounded; Core refuses such a sum, too.
  if (!Number.isSafeInteger(found + number)) {
    throw new OperationError(`the sum at ${shown(formatPointer(path))} is beyond what a document may hold`);
  }
  return found + number;
}
