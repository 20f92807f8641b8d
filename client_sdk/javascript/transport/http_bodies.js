// Requests, and the bodies of answers, read within bounds: a text of so many bytes at most, and a stream's events.
//
// As client_sdk/transport/http_bodies.py.

import { ContractError } from "../contract/contract.js";
import { SseParser } from "../contract/sse.js";
import { inputOf } from "./stream_events.js";

const END_FOLLOWS_WITHIN_MS = 1_000;
const LAST_WORDS = new Set(["StreamBye", "StreamSyncRequired"]);

/**
 * What one of our servers answers: past every cache, and without cookies.
 *
 * @param {string | URL} url
 * @param {RequestInit} options
 */
export const ask = (url, options) => fetch(url, { cache: "no-store", credentials: "omit", ...options });

/**
 * Hands a stream's events to `put` as the machine's inputs, until it ends.
 *
 * @param {number} generation of the stream
 * @param {Response} response
 * @param {(input: import("../machine/messages.js").Input) => void} put
 * @throws {ContractError} it is no stream of events, or one is longer than MAX_EVENT_LENGTH
 */
export async function readStream(generation, response, put) {
  const mediaType = (response.headers.get("content-type") ?? "").split(";")[0].trim();
  if (mediaType.toLowerCase() !== "text/event-stream") {
    // As the page of a captive portal.
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
 * Takes what follows a stream's last event, which is the end of the response: only then can its
 * connection be used for the next request.
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
 * @param {Response} response
 * @param {number} limit
 * @returns {Promise<[string, number]>}
 * @throws {ContractError} it is longer than `limit` bytes
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
