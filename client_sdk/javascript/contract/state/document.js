// A document in messages, the event of its change, and its digest. Pure.
//
// As client_sdk/contract/state/document.py, digest.py and sync.py. A value that a message leaves out is
// undefined here; null is a deleted document.

import {
  ContractError,
  canonical,
  carriesDocuments,
  checkChannel,
  checkFrame,
  checkSync,
  instant,
  parseEventId,
  sha256,
} from "../contract.js";
import { MAX_NEXT_CHARS } from "../contract_lists.js";
import { isObject } from "./pointer.js";

const encoder = new TextEncoder();
const hex = (words) => words.map((word) => word.toString(16).padStart(8, "0")).join("");
const isText = (x) => typeof x === "string";
const isCount = (x) => Number.isSafeInteger(x) && x >= 0;
const isNone = (x) => x === null || x === undefined;

function check(condition, what) {
  if (!condition) throw new ContractError(`${what} does not follow the protocol`);
}

/**
 * The hash of one document in its channel's digest: the first 128 bits of SHA-256 over the key, the version and
 * the SHA-256 of the value in the form of RFC 8785; 0n: it is deleted.
 *
 * @param key the document's key, which cannot contain a colon
 * @param version its newest version
 * @param value its value at that version; null: it is deleted
 * @throws ContractError the value is not valid in a document
 */
export function documentHash(key, version, value) {
  if (value === null) return 0n;
  const content = hex(sha256(encoder.encode(canonical(value))));
  return BigInt(`0x${hex(sha256(encoder.encode(`${key}:${version}:${content}`)).slice(0, 4))}`);
}

/**
 * Checks a document {channel, key, version, schema, updated_at, by, value, edit} and returns it.
 *
 * @param document any JSON value
 * @throws ContractError it does not follow the protocol; the error names the first wrong part
 */
export function checkDocument(document) {
  check(isObject(document) && isText(document.channel) && isText(document.key), "a document");
  check(isCount(document.version) && document.version > 0, "a document's version");
  check(Number.isSafeInteger(document.schema) && isText(document.by), "a document's schema or author");
  instant(document.updated_at);
  check(isNone(document.value) || isObject(document.value), "a document's value");
  const { edit } = document;
  check(isNone(edit) || (isText(edit.client) && Number.isSafeInteger(edit.n)), "a document's edit");
  return document;
}

/**
 * Checks a document's event and returns it.
 *
 * @param event any JSON value
 * @throws ContractError it does not follow the protocol; the error names the first wrong part
 */
export function checkDocumentEvent(event) {
  check(isObject(event) && isText(event.id) && isText(event.type), "an event");
  const [channel, seq] = parseEventId(event.id);
  check(event.id === `${channel}@${event.seq}` && seq === event.seq, "an event's seq");
  instant(event.occurred_at);
  check(isText(event.key) && isText(event.operation) && isText(event.by), "an event of a document");
  check(Number.isSafeInteger(event.version), "an event's version");
  check(Number.isSafeInteger(event.schema), "an event's schema");
  check(isNone(event.base) || Number.isSafeInteger(event.base), "an event's base");
  const { edit } = event;
  check(isNone(edit) || (isText(edit.client) && Number.isSafeInteger(edit.n)), "an event's edit");
  check(isNone(event.settled) || isText(event.settled), "an event's strategy");
  check(isNone(event.metadata) || isObject(event.metadata), "an event's metadata");
  check(event.diff === undefined || isPatch(event.diff), "an event's diff");
  check(isNone(event.data) || isObject(event.data), "an event's value");
  return event;
}

const isPatch = (diff) => Array.isArray(diff) && diff.every(isObject);

/** Checks the part of Fetch Sync's answer for a channel of documents. */
function checkDocumentChannel(answer) {
  checkFrame(answer);
  answer.events.forEach(checkDocumentEvent);
  if (isNone(answer.snapshot)) return;
  const { head, documents = [], next } = answer.snapshot;
  check(isCount(head) && Array.isArray(documents), "a snapshot");
  check(isNone(next) || (isText(next) && next.length <= MAX_NEXT_CHARS), "a snapshot's next");
  documents.forEach(checkDocument);
}

/**
 * Checks an answer of Fetch Sync, each channel by its kind, and returns it.
 *
 * @param answer any JSON value
 * @throws ContractError it does not follow the protocol; the error names the first wrong part
 */
export const checkMixedSync = (answer) =>
  checkSync(answer, (part) =>
    carriesDocuments(part?.channel) ? checkDocumentChannel(part) : checkChannel(part),
  );
