// JSON Pointer (RFC 6901): the path to one part of a JSON value. Pure.
//
// As client_sdk/contract/state/pointer.py. A pointer is text on the wire (`/lines/a7`) and an array
// of names in the program. A missing value is `undefined`; null is a value.

import { MAX_VALUE_DEPTH } from "../contract_lists.js";
import { PointerError, shown } from "./errors.js";

const INDEX = /^(?:0|[1-9][0-9]{0,8})$/;

/**
 * Whether it is a JSON object.
 *
 * @param value any value
 */
export const isObject = (value) =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * Reads a pointer as a path.
 *
 * @param {string} text such as `/lines/a7`; empty: the whole value
 * @returns {string[]}
 * @throws PointerError it does not begin with /, has a ~ that is neither ~0 nor ~1, or has more levels than a
 *   document may have
 */
export function parsePointer(text) {
  if (text === "") return [];
  const parts = text.split("/");
  if (parts.length - 1 > MAX_VALUE_DEPTH) {
    throw new PointerError(`${shown(text)} has more levels than ${MAX_VALUE_DEPTH}`);
  }
  if (parts[0] !== "") throw new PointerError(`${shown(text)} is not a JSON Pointer: it begins with /`);
  if (/~(?![01])/.test(text)) {
    throw new PointerError(`${shown(text)} is not a JSON Pointer: write ~0 for ~ and ~1 for /`);
  }
  return parts.slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/**
 * Writes a path as a pointer.
 *
 * @param path the names, not escaped
 */
export const formatPointer = (path) =>
  path.map((part) => `/${part.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");

/**
 * The array index that a part of a pointer names, or null.
 *
 * @param part one name of a path
 */
export const arrayIndex = (part) => (INDEX.test(part) ? Number(part) : null);

/**
 * An object's own member of this name; inherited ones, such as `constructor`, do not count.
 *
 * @param object a JSON object
 * @param name any text
 * @returns the value; undefined: there is no such member
 */
export const member = (object, name) => (Object.hasOwn(object, name) ? object[name] : undefined);

/**
 * Puts a member into an object; `object.__proto__ = …` would change what it is.
 *
 * @param object a JSON object or array, which is changed
 * @param name the member's name, or an array's index as text
 * @param value what it gets, which is not copied
 */
export function putMember(object, name, value) {
  if (name !== "__proto__") object[name] = value;
  else Object.defineProperty(object, name, { value, writable: true, enumerable: true, configurable: true });
}

/**
 * The value at the path, or undefined.
 *
 * @param {any} value a JSON value
 * @param {string[]} path as parsePointer returns it
 * @returns {any}
 */
export function get(value, path) {
  let found = value;
  for (const part of path) {
    if (Array.isArray(found)) {
      const index = arrayIndex(part);
      found = index === null ? undefined : found[index];
    } else if (isObject(found)) {
      found = member(found, part);
    } else {
      return undefined;
    }
  }
  return found;
}
