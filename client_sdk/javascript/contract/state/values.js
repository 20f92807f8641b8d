// The valid values of a document, their comparison, and copies. Pure.
//
// As client_sdk/contract/state/values.py: integers within ±(2^53 - 1), names of ASCII, a limited depth, no NUL
// and no lone surrogate. A JavaScript number does not tell 1.0 from 1.

import { MAX_VALUE_DEPTH } from "../contract_lists.js";
import { StateValueError } from "./errors.js";
import { formatPointer, isObject, putMember } from "./pointer.js";

const BAD_TEXT = /\0|\p{Surrogate}/u;
const NAME = /^[\x01-\x7f]*$/;

/**
 * Checks that a document may contain the value at this path.
 *
 * @param value any value
 * @param path where it would be, as names; its length counts as depth
 * @throws StateValueError it may not; its pointer names the first invalid part
 */
export function checkValue(value, path = []) {
  const at = () => formatPointer(path);
  if (typeof value === "string") {
    if (BAD_TEXT.test(value)) throw new StateValueError(at(), "a text has a NUL or a lone surrogate");
  } else if (typeof value === "number") {
    if (Number.isSafeInteger(value)) return;
    const reason = Number.isInteger(value)
      ? "an integer must be within ±9007199254740991 (53 bits)"
      : "a number must be an integer: use the smallest unit";
    throw new StateValueError(at(), reason);
  } else if (Array.isArray(value)) {
    checkDepth(path);
    // `forEach` would leave out holes, which JSON has no form for.
    for (let index = 0; index < value.length; index++) checkValue(value[index], [...path, `${index}`]);
  } else if (isPlain(value)) {
    checkDepth(path);
    for (const [name, part] of Object.entries(value)) {
      if (!NAME.test(name)) {
        throw new StateValueError(formatPointer([...path, escaped(name)]), "a member's name must be ASCII without NUL");
      }
      checkValue(part, [...path, name]);
    }
  } else if (typeof value !== "boolean" && value !== null) {
    throw new StateValueError(at(), `${typeof value} is not a JSON type`);
  }
}

/**
 * Checks that it may be the whole value of a document.
 *
 * @param value any value
 * @throws StateValueError it is not an object, or contains an invalid value
 */
export function checkDocumentValue(value) {
  if (!isPlain(value)) {
    throw new StateValueError("", "a document must be a JSON object: put a value under /value");
  }
  checkValue(value);
}

/**
 * Whether both are the same JSON value, or both are undefined.
 *
 * @param {any} one a JSON value, or undefined
 * @param {any} other a JSON value, or undefined
 * @returns {boolean}
 */
export function same(one, other) {
  if (one === other) return true;
  if (Array.isArray(one)) {
    if (!Array.isArray(other) || one.length !== other.length) return false;
    return one.every((part, index) => same(part, other[index]));
  }
  if (!isObject(one) || !isObject(other)) return false;
  const names = Object.keys(one);
  if (names.length !== Object.keys(other).length) return false;
  return names.every((name) => Object.hasOwn(other, name) && same(one[name], other[name]));
}

/**
 * A copy that shares no object and no array with the value.
 *
 * @param {any} value a JSON value
 * @returns {any}
 */
export function copy(value) {
  if (Array.isArray(value)) return value.map(copy);
  if (!isObject(value)) return value;
  const made = {};
  for (const [name, part] of Object.entries(value)) putMember(made, name, copy(part));
  return made;
}

// A Map, a Date and similar objects would lose their content as JSON.
function isPlain(value) {
  return isObject(value) && Object.prototype.toString.call(value) === "[object Object]";
}

// Escaped so that a message can show it, in the same form as in Python.
function escaped(name) {
  return name.replace(/[^\x20-\x7e]/gu, (character) => {
    const code = character.codePointAt(0);
    if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
    return code < 0x10000 ? `\\u${code.toString(16).padStart(4, "0")}` : `\\U${code.toString(16).padStart(8, "0")}`;
  });
}

function checkDepth(path) {
  if (path.length < MAX_VALUE_DEPTH) return;
  throw new StateValueError(formatPointer(path), `a document may be nested at most ${MAX_VALUE_DEPTH} deep`);
}
