// Requests, and the bodies of answers, read with limits: a text of at most so many bytes, and a stream's
// events.
//
// As client_sdk/transport/http_bodies.py.

import { ContractError } from "../contract/contract.js";
import { SseParser } from "../contract/sse.js";
import { inputOf } from "./stream_events.js";

const END_FOLLOWS_WITHIN_MS = 1_000;
const LAST_WORDS = new Set(["StreamBye", "StreamSyncRequired"]);

/**
 * Sends a request to one of our servers, without caches and cookies.
 *
 * @param {string | URL} url of Core or an event server
 * @param {RequestInit} options as for `fetch`; they win over these two
 * @throws {TypeError} there is no answer; and what an abort of `options.signal` throws
 */
export const ask = (url, options) => fetch(url, { cache: "no-store", credentials: "omit", ...options });

/**
 * Hands a stream's events to `put` as the machine's inputs, until it ends.
 *
 * @param {number} generation of the stream
 * @param {Response} response an answer 200, whose body was not read yet
 * @param {(input: import("../machine/messages.js").Input) => void} put called with each input
 * @throws {ContractError} it is no stream of events, or one is longer than MAX_EVENT_LENGTH or malformed
 * @throws {Error} the connection broke, or the request was aborted
 */
export async function readStream(generation, response, put) {
  const mediaType = (response.headers.get("content-type") ?? "").split(";")[0].trim();
  if (mediaType.toLowerCase() !== "text/event-stream") {
    // Such as a captive portal's page.
    await response.body?.cancel();
    throw new ContractError(`the stream is of type ${JSON.stringify(mediaType.slice(0, 80))}`);
  }
  const parser = new SseParser();
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      for (const event of parser.feed(value)) {
        const input = inputOf(generation, event);
        if (input !== null && LAST_WORDS.has(input.type)) await readOut(reader);
        if (input !== null) put(input);
      }
    }
  } catch (error) {
    await reader.cancel().catch(() => {});
    throw error;
  }
}

/**
 * Reads the response to its end after a stream's last event, so that its connection can be used for the next
 * request.
 */
async function readOut(reader) {
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, END_FOLLOWS_WITHIN_MS);
  });
  const ended = async () => {
    while (!(await reader.read()).done);
  };
  await Promise.race([ended().catch(() => {}), late]);
  clearTimeout(timer);
}

/**
 * The body's text and its length in bytes.
 *
 * @param {Response} response its body was not read yet
 * @param {number} limit the most bytes that are read
 * @returns {Promise<[string, number]>}
 * @throws {ContractError} it is longer than `limit` bytes
 * @throws {Error} the connection broke, or the request was aborted
 */
export async function readText(response, limit) {
  if (response.body === null) return ["", 0];
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return [text + decoder.decode(), length];
    length += value.length;
    if (length > limit) {
      await reader.cancel();
      throw new ContractError(`the answer is longer than ${limit} bytes`);
    }
    text += decoder.decode(value, { stream: true });
  }
}
