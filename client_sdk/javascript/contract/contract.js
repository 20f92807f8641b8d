// The contract with the servers: channels, cursors, the digest, and the shapes of answers. Pure.
//
// The same as client_sdk/contract/ in Python; docs/protocol.md describes both. One difference: a
// JavaScript number is exact up to 2^53 - 1 only, so a larger seq is refused instead of rounded.

import {
  CLOSED_STATUSES,
  KINDS,
  MAX_NEXT_CHARS,
  MAX_TICKET_CHARS,
  MAX_URL_CHARS,
} from "./contract_lists.js";

const ID = "[A-Za-z0-9_.\\-]{1,64}";
const NAMES = Object.entries(KINDS).map(([kind, { ids }]) =>
  ids.length ? `${kind}:${ids.map(() => ID).join("/")}` : kind,
);
const CHANNEL = new RegExp(`^(?:${NAMES.join("|")})$`);
const EVENT_ID = new RegExp(`^(${NAMES.join("|")})@([0-9]{1,19})$`);

const EPOCH = new RegExp(`^${ID}$`);
const DIGEST = /^[0-9a-f]{16}$/;

/** Text from outside that breaks the contract. */
export class ContractError extends Error {}

/**
 * Reads a channel name as {kind, root, part, store, table, carries}: its first and its second id,
 * the store and the table that it belongs to, and what its events are about (orders, documents).
 *
 * @param text such as `table:12/5`
 * @throws ContractError it is not a channel name
 */
export function parseChannel(text) {
  if (!CHANNEL.test(text)) throw new ContractError(`${JSON.stringify(text)} is not a channel`);
  const [kind, names = ""] = text.split(":");
  const [root, part = null] = names.split("/");
  const { ids, carries } = KINDS[kind];
  const store = ids[0] === "store" ? root : null;
  return { kind, root, part, store, table: ids[1] === "table" ? part : null, carries };
}

/**
 * Whether the channel carries documents; false: orders, or it is not a channel.
 *
 * @param channel its name, or any other value
 */
export const carriesDocuments = (channel) =>
  CHANNEL.test(channel) && KINDS[channel.split(":")[0]].carries === "documents";

/**
 * Reads an event id as [channel, seq].
 *
 * @param text such as `table:12/5@77`
 * @throws ContractError it is not an event id, or its seq is above 2^53 - 1
 */
export function parseEventId(text) {
  const found = EVENT_ID.exec(text);
  if (!found || BigInt(found[2]) > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new ContractError(`${JSON.stringify(text)} is not an event id`);
  }
  return [found[1], Number(found[2])];
}

/**
 * Writes a cursor, sorted by channel.
 *
 * @param cursor pairs of [channel, seq]
 */
export function formatCursor(cursor) {
  return [...cursor]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([channel, seq]) => `${channel}@${seq}`)
    .join(",");
}

/**
 * The channel of an event.
 *
 * @param event its `id` names the channel; it is not checked
 */
export function channelOf(event) {
  return event.id.slice(0, event.id.lastIndexOf("@"));
}

/**
 * Whether the order is in snapshots and digests. Core sends `open`, so that clients need not know every status;
 * an older Core without it sends only known statuses.
 *
 * @param order as Core sends it
 */
export function isOpen(order) {
  return typeof order.open === "boolean" ? order.open : !CLOSED_STATUSES.includes(order.status);
}

/**
 * The hash of one open order for the older digest: the first 64 bits of SHA-256, as a BigInt.
 *
 * @param id the order's id
 * @param version the order's version
 */
export function orderHash(id, version) {
  const [high, low] = sha256(new TextEncoder().encode(`${id}:${version}`));
  return (BigInt(high) << 32n) | BigInt(low);
}

/**
 * The hash of one open order for the content digest: the first 128 bits of SHA-256 over its canonical form, as
 * a BigInt; null if it has an invalid value, such as a fraction.
 *
 * @param order as Core sends it, with all its fields
 */
export function contentHash(order) {
  let text;
  try {
    text = canonical(order);
  } catch (error) {
    // It is nested too deep for the stack.
    if (error instanceof ContractError || error instanceof RangeError) return null;
    throw error;
  }
  return sha256(new TextEncoder().encode(text))
    .slice(0, 4)
    .reduce((whole, part) => (whole << 32n) | BigInt(part), 0n);
}

/**
 * The value in the form of RFC 8785; its numbers are integers only.
 *
 * @param value any JSON value
 * @throws ContractError a number is no integer within ±(2^53 - 1), or a text has a lone surrogate
 */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value === "object" && value !== null) {
    // The sort goes by UTF-16 units, as the RFC demands.
    const pairs = Object.keys(value).sort().map((key) => `${quoted(key)}:${canonical(value[key])}`);
    return `{${pairs.join()}}`;
  }
  if (typeof value === "string") return quoted(value);
  if (typeof value === "number") check(Number.isSafeInteger(value), "a number");
  return JSON.stringify(value);
}

// JSON.stringify would write a lone surrogate as an escape, which the RFC does not allow.
function quoted(text) {
  check(text.isWellFormed?.() ?? true, "a text");
  return JSON.stringify(text);
}

/**
 * The older digest as 16 lower-case hex digits, as in messages.
 *
 * @param digest a BigInt of at most 64 bits
 */
export function formatDigest(digest) {
  return digest.toString(16).padStart(16, "0");
}

/**
 * The content digest as 32 lower-case hex digits, as in messages.
 *
 * @param digest a BigInt of at most 128 bits
 */
export function formatContentDigest(digest) {
  return digest.toString(16).padStart(32, "0");
}

// SHA-256 (FIPS 180-4), because the browser's own is asynchronous and, over plain HTTP in a store's network,
// not available.
const PRIMES = (() => {
  const primes = [];
  for (let n = 2; primes.length < 64; n++) {
    if (primes.every((p) => n % p !== 0)) primes.push(n);
  }
  return primes;
})();
const fraction = (x) => Math.floor((x - Math.floor(x)) * 2 ** 32) | 0;
const START = PRIMES.slice(0, 8).map((p) => fraction(Math.sqrt(p)));
const K = PRIMES.map((p) => fraction(Math.cbrt(p)));

/**
 * SHA-256 of the bytes as eight unsigned 32-bit numbers.
 *
 * @param bytes a Uint8Array
 */
export function sha256(bytes) {
  const padded = new Uint8Array(((bytes.length + 8) >> 6) * 64 + 64);
  padded.set(bytes);
  padded[bytes.length] = 0x80;
  const view = new DataView(padded.buffer);
  view.setUint32(padded.length - 8, Math.floor(bytes.length / 2 ** 29));
  view.setUint32(padded.length - 4, bytes.length << 3);
  const hash = Int32Array.from(START);
  const w = new Int32Array(64);
  const turn = (x, n) => (x >>> n) | (x << (32 - n));
  for (let block = 0; block < padded.length; block += 64) {
    for (let i = 0; i < 16; i++) w[i] = view.getInt32(block + 4 * i);
    for (let i = 16; i < 64; i++) {
      const s0 = turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ (w[i - 15] >>> 3);
      const s1 = turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ (w[i - 2] >>> 10);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    let [a, b, c, d, e, f, g, h] = hash;
    for (let i = 0; i < 64; i++) {
      const s1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
      const s0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22);
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((x, i) => (hash[i] += x));
  }
  return [...hash].map((x) => x >>> 0);
}

// ── shapes ─────────────────────────────────────────────────────────────────────────────────────

const TIME = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)$/;
const isObject = (x) => typeof x === "object" && x !== null && !Array.isArray(x);
const isText = (x) => typeof x === "string";
const isSeq = (x) => Number.isSafeInteger(x) && x >= 0;
const isNull = (x) => x === null || x === undefined;
const isTime = (x) => isText(x) && TIME.test(x) && !Number.isNaN(Date.parse(x));

/**
 * Whether it is the name of an epoch.
 *
 * @param x any value
 */
export const isEpoch = (x) => isText(x) && EPOCH.test(x);

/** Whether it is a time to wait in milliseconds. */
export const isWait = isSeq;

/** More than anything that a server says is nested. */
const MAX_DEPTH = 64;

/**
 * The JSON object (or array) that the text holds.
 *
 * @param text from outside
 * @throws ContractError there is none, or it is nested so deeply that it could exhaust the stack
 */
export function parsed(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ContractError("it is not JSON");
  }
  if (typeof value !== "object" || value === null) throw new ContractError("it is no JSON object");
  if (isDeeper(value, MAX_DEPTH)) throw new ContractError("it is nested too deeply");
  return value;
}

function isDeeper(value, most) {
  if (typeof value !== "object" || value === null) return false;
  return most === 0 || Object.values(value).some((inner) => isDeeper(inner, most - 1));
}

function check(condition, what) {
  if (!condition) throw new ContractError(`${what} does not follow the protocol`);
}

/**
 * Checks an order and returns it.
 *
 * @param order any JSON value
 * @throws ContractError it is no order of the protocol; the error names the first wrong part
 */
export function checkOrder(order) {
  check(isObject(order), "an order");
  check(isText(order.id) && isText(order.store_id), "an order's id or store");
  check(isText(order.status), "an order's status");
  check(order.open === undefined || typeof order.open === "boolean", "an order's open");
  check(isSeq(order.version) && isSeq(order.total), "an order's version or total");
  check(isText(order.currency) && /^[A-Z]{3}$/.test(order.currency), "an order's currency");
  check(isNull(order.table_id) || isText(order.table_id), "an order's table");
  check(isNull(order.reference) || isText(order.reference), "an order's reference");
  check(isNull(order.reason) || isText(order.reason), "an order's reason");
  check(isText(order.note), "an order's note");
  check(isTime(order.created_at) && isTime(order.updated_at), "an order's time");
  check(Array.isArray(order.items), "an order's items");
  for (const item of order.items) {
    check(isText(item?.name) && isSeq(item.quantity) && isSeq(item.unit_price), "an item");
    check(item.note === undefined || isText(item.note), "an item's note");
  }
  return order;
}

/**
 * Checks an order event and returns it.
 *
 * @param event any JSON value
 * @throws ContractError it is no such event; the error names the first wrong part
 */
export function checkEvent(event) {
  check(isObject(event) && isText(event.id) && isText(event.type), "an event");
  const [channel, seq] = parseEventId(event.id);
  check(event.id === `${channel}@${event.seq}` && seq === event.seq, "an event's seq");
  check(isTime(event.occurred_at) && isText(event.order_id), "an event's time or order");
  check(isSeq(event.order_version), "an event's version");
  checkOrder(event.data);
  return event;
}

/**
 * Checks the fields of every channel's answer.
 *
 * @param answer any JSON value
 * @throws ContractError a field is missing or wrong; the error names the first one
 */
export function checkFrame(answer) {
  check(isObject(answer) && isText(answer.channel) && isSeq(answer.head), "a channel's answer");
  check(isText(answer.digest), "a digest");
  check(isNull(answer.content_digest) || isText(answer.content_digest), "a digest of content");
  check(isNull(answer.reset) || isText(answer.reset), "a reset");
  check(answer.has_more === undefined || typeof answer.has_more === "boolean", "has_more");
  check(Array.isArray(answer.events), "a channel's events");
  check(DIGEST.test(answer.digest), "a digest");
}

/**
 * Checks the part of Fetch Sync's answer for a channel of orders.
 *
 * @param answer any JSON value
 * @throws ContractError it does not follow the protocol; the error names the first wrong part
 */
export function checkChannel(answer) {
  checkFrame(answer);
  answer.events.forEach(checkEvent);
  if (isNull(answer.snapshot)) return;
  const { head, orders, next } = answer.snapshot;
  check(isSeq(head) && Array.isArray(orders), "a snapshot");
  check(isNull(next) || (isText(next) && next.length <= MAX_NEXT_CHARS), "a snapshot's next");
  orders.forEach(checkOrder);
}

/**
 * Checks an answer of Fetch Sync and returns it.
 *
 * @param answer any JSON value
 * @param checkPart checks a channel's part of it
 * @throws ContractError it does not follow the protocol; the error names the first wrong part
 */
export function checkSync(answer, checkPart = checkChannel) {
  check(isObject(answer) && isEpoch(answer.epoch) && isText(answer.cursor), "the answer");
  check(isTime(answer.server_time) && Array.isArray(answer.channels), "the answer");
  check(isWait(answer.poll_after_ms), "poll_after_ms");
  check(typeof answer.has_more === "boolean", "has_more");
  answer.channels.forEach((part) => checkPart(part));
  if (isNull(answer.stream)) return answer;
  const { url, ticket, expires_in: expires } = answer.stream;
  check(isText(url) && url.length <= MAX_URL_CHARS, "the stream's address");
  check(isText(ticket) && ticket.length <= MAX_TICKET_CHARS, "the stream's ticket");
  check(Number.isFinite(expires), "the stream");
  return answer;
}

/**
 * A time in seconds since 1970, cut to milliseconds.
 *
 * @param text as RFC 3339 writes it
 * @throws ContractError it is not a time
 */
export function instant(text) {
  check(isTime(text), "a time");
  return Date.parse(text) / 1000;
}
