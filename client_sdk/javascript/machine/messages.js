// What the stream says, made into the machine's inputs, and the form of a failure. Pure.
//
// As client_sdk/machine/messages.py and `signal_of` of client_sdk/transport/stream_events.py.

import { ContractError, checkEvent, instant, isEpoch, isWait } from "../contract/contract.js";
import { checkDocumentEvent } from "../contract/state/document.js";

/**
 * Why a sync or a stream did not work; `retryAfter` in seconds, or null.
 *
 * `unreachable`: no answer, or the connection broke; `busy`: 429 or 503; `unauthorized`: the token
 * was refused; `token`: the callback gave none; `ticket`: 401 from a stream; `refused`: our server
 * refuses for good; `malformed`: an answer that breaks the contract; `consumer`: a bug in the page.
 *
 * @param {string} kind
 * @param {string} detail
 * @param {number | null} [retryAfter]
 */
export const failure = (kind, detail, retryAfter = null) => ({ kind, detail, retryAfter });

/** What an event of the stream ({type, data}) means; null for one that we do not know. */
export function inputOf(generation, { type, data }) {
  if (type.startsWith("order.")) {
    return { type: "StreamEvent", generation, event: checkEvent(parsed(data)) };
  }
  if (type.startsWith("document.")) {
    return { type: "StreamDocument", generation, event: checkDocumentEvent(parsed(data)) };
  }
  switch (type) {
    case "hello": {
      const { epoch, watermark } = parsed(data);
      check(isEpoch(epoch), type);
      return { type: "StreamHello", generation, epoch, watermark: instant(watermark) };
    }
    case "heartbeat":
      return { type: "StreamHeartbeat", generation, watermark: instant(parsed(data).watermark) };
    case "sync-required": {
      const { channel, reason } = parsed(data);
      check(typeof channel === "string" && typeof reason === "string", type);
      return { type: "StreamSyncRequired", generation, channel, reason };
    }
    case "bye": {
      const { reason, reconnect_after_ms: reconnectAfterMs } = parsed(data);
      check(typeof reason === "string" && isWait(reconnectAfterMs), type);
      return { type: "StreamBye", generation, reason, reconnectAfterMs };
    }
    default:
      return null;
  }
}

/** More than anything that a server says is nested. */
const MAX_DEPTH = 64;

/**
 * The JSON object that the text holds.
 *
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

function isDeeper(value, limit) {
  if (typeof value !== "object" || value === null) return false;
  return limit === 0 || Object.values(value).some((inner) => isDeeper(inner, limit - 1));
}

function check(condition, type) {
  if (!condition) throw new ContractError(`the stream's ${type} is not as the protocol says`);
}
